// The inspector of the sandbox. Every text reaches the page by textContent, never as markup.
"use strict";

const TABS = ["requests", "records", "queue", "faults", "controls"];
const EVERY = 1000; // milliseconds between two looks at the state
const MOST = 500; // requests that the page shows
const FAULTS = {
  status: "HTTP status", delay: "delay", drop: "connection closed, no response", cut: "response cut off",
  malformed: "damaged response", html: "maintenance page", empty: "empty response", redirect: "redirect",
  encoding: "other encoding", gzip: "compressed response", revoke_tokens: "tokens expire",
};
const VARIANTS = { malformed: ["truncated", "misnested", "bytes", "control", "entity", "ampersand", "bracket", "blank", "notice", "notice-after"], encoding: ["latin-1", "latin-1-undeclared", "utf-16", "utf-8-bom"] };
const PRESETS = [
  ["HTTP 503, once", { kind: "status", status: 503 }],
  ["HTTP 429, once", { kind: "status", status: 429, retry_after: "1" }],
  ["Lost response, once", { kind: "drop", apply: true }],
  ["5 s slower, until cleared", { kind: "delay", seconds: 5, times: null }],
  ["Maintenance page, until cleared", { kind: "html", times: null }],
  ["Down, until cleared", { kind: "status", status: 503, times: null }],
];
const MOVES = [["1 minute", 60], ["15 minutes", 900], ["1 hour", 3600], ["1 day", 86400]];
const SAMPLE = {
  leads: [
    ["ada@example.com", "Ada", "Lovelace", "Analytical Engines"], ["grace@example.com", "Grace", "Hopper", "COBOL & Sons"],
    ["zoe@example.com", "Zoé", "Tremblay", "Érablière du Nord"], ["alan@example.com", "Alan", "Turing", "Bletchley Park"],
    ["katherine@example.com", "Katherine", "Johnson", "Orbital Mechanics"],
  ].map(([email, firstName, lastName, company], n) => ({ email, firstName, lastName, company, crmLeadId: `CRM-${n + 1}`, leadSource: "sample" })),
  lists: [{ name: "Newsletter", leads: ["ada@example.com", "zoe@example.com"] }],
  views: [{ name: "From the sample", queries: [{ field: "leadSource", operator: "like", value: "sample" }] }],
  campaigns: ["Welcome"],
  forms: ["Registration Form"],
};

const $ = (id) => document.getElementById(id);
const known = { generation: null, revision: null, arrivals: new Map(), state: null, records: null };
const open = { arrival: null, entry: null };

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("show");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => $("toast").classList.remove("show"), 4000);
}

async function call(verb, path, document_) {
  const options = { method: verb, cache: "no-store" };
  if (document_ !== undefined) {
    options.body = JSON.stringify(document_);
    options.headers = { "content-type": "application/json" };
  }
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || `HTTP ${response.status}`);
  return answer;
}

async function act(done, verb, path, document_) {
  try {
    const answer = await call(verb, path, document_);
    toast(typeof done === "function" ? done(answer) : done);
    await look();
    return true;
  } catch (error) {
    toast(String(error.message || error));
    return false;
  }
}

// What the sandbox holds

let looking = false;
let again = false;
let timer = null;
let vendors = null; // by name: title, kinds of records, environment

async function look() {
  if (looking) { again = true; return; }
  looking = true;
  clearTimeout(timer);
  try {
    do {
      again = false;
      if (vendors === null) await connect();
      show(await call("GET", `state?after=${firstOpen()}`));
      connected(true);
      if (!$("records").hidden) await showRecords(false);
    } while (again);
  } catch {
    connected(false);
  } finally {
    looking = false;
    if (!document.hidden) timer = setTimeout(look, EVERY);
  }
}

// The number behind which something can be new: arrivals in progress are asked for again.
function firstOpen() {
  let last = 0;
  for (const arrival of known.arrivals.values()) {
    if (!arrival.done) return arrival.sequence - 1;
    last = arrival.sequence;
  }
  return last;
}

function connected(on) {
  const live = $("live");
  live.classList.toggle("on", on);
  live.classList.toggle("off", !on);
  live.textContent = on ? "live" : "not reachable";
}

function show(state) {
  if (state.generation !== known.generation) {
    const before = known.generation;
    known.generation = state.generation;
    known.arrivals.clear();
    $("arrivals").replaceChildren();
    closeDetail("arrival");
    if (before !== null) again = true;
  }
  known.state = state;
  if (!again) for (const arrival of state.new) showArrival(arrival);
  while (known.arrivals.size > MOST) {
    const oldest = known.arrivals.keys().next().value;
    known.arrivals.delete(oldest);
    $(`arrival-${oldest}`)?.remove();
  }
  filterArrivals();
  $("clock").textContent = state.now;
  $("offset").hidden = !state.offset;
  $("offset").textContent = `${span(state.offset)} ahead`;
  $("rate").textContent = state.rate_limit === null ? state.last_second : `${state.last_second} of ${state.rate_limit}`;
  count("requests", state.arrivals);
  count("records", state.leads);
  count("queue", state.pending, state.rejected > 0);
  count("faults", state.faults.length, state.faults.length > 0);
  document.title = state.arrivals ? `(${state.arrivals}) PUBLITRAC sandbox` : "PUBLITRAC sandbox";
  showQueue(state);
  showFaults(state);
}

function count(tab, number, alarm = false) {
  const badge = $(`n-${tab}`);
  badge.textContent = number;
  badge.classList.toggle("some", number > 0 && !alarm);
  badge.classList.toggle("alarm", alarm);
}

function span(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const words = [];
  let rest = Math.round(seconds);
  for (const [size, unit] of parts) {
    const whole = Math.floor(rest / size);
    if (whole) words.push(`${whole} ${unit}`);
    rest -= whole * size;
  }
  return words.slice(0, 2).join(" ") || "0 s";
}

// Replaces a list only when it changes, so that focus and scrolling stay.
function fill(list, items, build) {
  const text = JSON.stringify(items);
  $(`no-${list}`).hidden = items.length > 0;
  if (fill[list] === text) return;
  fill[list] = text;
  $(list).replaceChildren(...items.map((item) => make("li", {}, ...[build(item)].flat())));
}

// Requests

function statusTag(arrival) {
  if (arrival.status === null) {
    const text = arrival.done ? (arrival.fault ? "no response" : "gone") : "…";
    return make("span", { class: arrival.done ? "tag bad" : "tag" }, text);
  }
  const tone = arrival.status >= 500 ? "bad" : arrival.status >= 400 ? "warn" : "good";
  return make("span", { class: `tag ${tone}`, title: "HTTP status" }, arrival.status);
}

function arrivalTags(arrival) {
  const tags = [statusTag(arrival)];
  if (arrival.applied) tags.push(make("span", { class: "tag accent", title: "The call changed or queued a change" }, "applied"));
  if (arrival.over_limit) tags.push(make("span", { class: "tag warn" }, "over limit"));
  if (arrival.fault) tags.push(make("span", { class: "tag warn", title: "An injected fault struck" }, `fault: ${arrival.fault}`));
  return tags;
}

function showArrival(arrival) {
  const seen = known.arrivals.get(arrival.sequence);
  known.arrivals.set(arrival.sequence, arrival);
  const name = arrival.method || `${arrival.verb} ${arrival.path}`;
  const cells = [
    make("span", { class: "number" }, arrival.sequence),
    make("span", { class: "time" }, new Date(arrival.at * 1000).toISOString().slice(11, 19)),
    make("span", {}, make("span", { class: "tag" }, arrival.api)),
    make("span", { class: "method", title: name }, name),
    make("span", { class: "key", title: arrival.key ?? "" }, arrival.key ?? ""),
    make("span", { class: "tags" }, ...arrivalTags(arrival)),
    make("span", { class: "took" }, arrival.duration === null ? "" : `${(arrival.duration * 1000).toFixed(1)} ms`),
  ];
  const item = $(`arrival-${arrival.sequence}`);
  if (item) {
    item.firstElementChild.replaceChildren(...cells);
  } else {
    const button = make("button", { type: "button", class: "row arrival", onclick: () => openArrival(arrival.sequence) }, ...cells);
    $("arrivals").prepend(make("li", { id: `arrival-${arrival.sequence}` }, button));
  }
  if (open.arrival === arrival.sequence && seen && !seen.done) openArrival(arrival.sequence, false);
  option("api", arrival.api);
  option("methods", arrival.method);
}

function option(list, value) {
  if (value && ![...$(list).children].some((child) => child.value === value)) {
    $(list).append(make("option", { value }, list === "methods" ? "" : value));
  }
}

function filterArrivals() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const api = $("api").value;
  const problems = $("problems").checked;
  let shown = 0;
  for (const arrival of known.arrivals.values()) {
    const text = [arrival.sequence, arrival.api, arrival.method, arrival.path, arrival.key, arrival.status, arrival.fault,
      arrival.applied ? "applied" : "", arrival.over_limit ? "over limit" : ""].join(" ").toLowerCase();
    const problem = arrival.done && (arrival.status === null || arrival.status >= 400 || arrival.fault || arrival.over_limit);
    const fits = words.every((word) => text.includes(word)) && (!api || arrival.api === api) && (!problems || problem);
    $(`arrival-${arrival.sequence}`).hidden = !fits;
    shown += fits;
  }
  $("no-arrivals").hidden = shown > 0;
  $("arrivals").hidden = !shown;
}

async function openArrival(sequence, focus = true) {
  let arrival;
  try {
    arrival = await call("GET", `arrival?sequence=${sequence}`);
  } catch (error) {
    toast(String(error.message));
    return;
  }
  const facts = {
    arrived: `${new Date(arrival.at * 1000).toISOString().replace("T", " ").slice(0, 23)} UTC`,
    request: `${arrival.verb} ${arrival.path}`,
    key: arrival.key ?? "–",
    connection: arrival.connection ?? "–",
    "content hash": arrival.payload_sha256 ? arrival.payload_sha256.slice(0, 16) : "request incomplete",
  };
  const parts = [make("p", { class: "tags" }, ...arrivalTags(arrival)), pairs(facts)];
  const understood = { ...arrival.parameters, ...(arrival.document === null ? {} : wrapped(arrival.document)) };
  if (Object.keys(understood).length) parts.push(make("h3", {}, "Understood"), pairs(understood));
  else if (arrival.request) parts.push(make("p", { class: "tag warn" }, "The content could not be read."));
  if (arrival.request) parts.push(make("h3", {}, "Content"), make("pre", { tabindex: "0" }, arrival.request));
  if (arrival.response) parts.push(make("h3", {}, "Response"), make("pre", { tabindex: "0" }, arrival.response));
  else parts.push(make("p", { class: "dim" }, arrival.method === "getToken" ? "The response holds a token and is not kept." : "No response is kept."));
  openDetail("arrival", sequence, "detail", `#${arrival.sequence} ${arrival.api} ${arrival.method}`, parts, focus);
}

function wrapped(document_) {
  return typeof document_ === "object" && !Array.isArray(document_) ? document_ : { document: document_ };
}

function pairs(values) {
  const list = make("dl", { class: "pairs" });
  for (const [name, value] of Object.entries(values)) list.append(make("dt", {}, name), make("dd", {}, shown(value)));
  return list;
}

function shown(value) {
  if (value === null || value === undefined || value === "") return make("span", { class: "dim" }, "empty");
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== "object")) return value.length ? value.join(", ") : make("span", { class: "dim" }, "none");
    return pairs(Object.fromEntries(value.map((item, index) => [index + 1, item])));
  }
  return typeof value === "object" ? pairs(value) : String(value);
}

// Details beside a list, for requests and records alike

function openDetail(kind, id, panel, title, parts, focus) {
  open[kind] = id;
  const element = $(panel);
  const top = focus ? 0 : element.scrollTop;
  const close = make("button", { type: "button", onclick: () => closeDetail(kind) }, "Close");
  element.replaceChildren(make("div", { class: "head" }, make("h2", {}, title), close), ...parts);
  element.hidden = false;
  element.parentElement.classList.add("open");
  mark(kind);
  element.scrollTop = top;
  if (focus && matchMedia("(max-width: 760px)").matches) close.focus();
}

function closeDetail(kind) {
  const id = open[kind];
  if (id === null) return false;
  open[kind] = null;
  const element = $(kind === "arrival" ? "detail" : "entry");
  element.hidden = true;
  element.parentElement.classList.remove("open");
  mark(kind);
  (kind === "arrival" ? $(`arrival-${id}`)?.firstElementChild : $("entries").children[id]?.firstElementChild)?.focus();
  return true;
}

function mark(kind) {
  const list = kind === "arrival" ? "arrivals" : "entries";
  for (const row of $(list).querySelectorAll("[aria-current]")) row.removeAttribute("aria-current");
  if (open[kind] === null) return;
  const item = kind === "arrival" ? $(`arrival-${open.arrival}`) : $("entries").children[open.entry];
  item?.firstElementChild.setAttribute("aria-current", "true");
}

// Records

function title(record) {
  if (typeof record !== "object") return String(record);
  const names = ["email", "Name", "name", "Email", "id", "leadId", "sessionId"];
  const name = names.find((each) => record[each]);
  return String(name ? record[name] : Object.values(record).find((value) => typeof value === "string" && value) ?? "record");
}

function summary(record) {
  if (typeof record !== "object") return "";
  const name = [record.firstName, record.lastName].filter(Boolean).join(" ");
  if (name || record.company) return [name, record.company].filter(Boolean).join(" · ");
  const heading = title(record);
  const texts = Object.entries(record).filter(([key, value]) => key !== "id" && value && value !== "0" && value !== heading);
  return texts.slice(0, 3).map(([, value]) => (typeof value === "object" ? JSON.stringify(value) : value)).join(" · ");
}

async function showRecords(fresh) {
  if (vendors === null) return;
  const question = new URLSearchParams({ vendor: $("vendor").value, kind: $("kind").value, search: $("search").value });
  const signature = `${question} ${known.generation} ${known.state?.revision}`;
  if (!fresh && signature === known.records) return;
  const answer = await call("GET", `records?${question}`);
  known.records = signature;
  $("found").textContent = answer.total > answer.records.length
    ? `the latest ${answer.records.length} of ${answer.total}` : `${answer.total} found`;
  const text = JSON.stringify(answer.records);
  if (fill.entries !== text && open.entry !== null) closeDetail("entry");
  fill("entries", answer.records, (record) => {
    const row = make("button", { type: "button", class: "row record" },
      make("span", { class: "method" }, title(record)),
      make("span", { class: "key more" }, summary(record)),
      make("span", { class: "number" }, typeof record === "object" && record.id ? `#${record.id}` : ""));
    row.addEventListener("click", () => openEntry(record, [...$("entries").children].indexOf(row.parentElement)));
    return row;
  });
  $("entries").hidden = !answer.records.length;
}

function openEntry(record, index) {
  const values = typeof record === "object" ? record : { value: record };
  const full = Object.entries(values).filter(([, value]) => value !== "" && value !== null);
  const empty = Object.entries(values).filter(([, value]) => value === "" || value === null).map(([name]) => name);
  const parts = [pairs(Object.fromEntries(full))];
  if (empty.length) parts.push(make("h3", {}, "Empty"), make("p", { class: "dim" }, empty.join(", ")));
  openDetail("entry", index, "entry", title(record), parts, true);
}

function showKinds() {
  $("kind").replaceChildren(...vendors[$("vendor").value].kinds.map((kind) => make("option", { value: kind }, kind)));
}

function chooseVendor() {
  showKinds();
  searchRecords();
}

function searchRecords() {
  closeDetail("entry");
  showRecords(true).catch((error) => toast(String(error.message)));
}

// Queue

function showQueue(state) {
  fill("waiting", state.waiting.map(({ due, document: sent }) => [lead(sent), Math.ceil(due)]), ([sent, due]) =>
    make("div", { class: "row line" }, make("span", { class: "text" }, sent), make("span", { class: "tag" }, due ? `in ${span(due)}` : "due")));
  if (state.pending > state.waiting.length) $("waiting").append(make("li", { class: "row dim" }, `and ${state.pending - state.waiting.length} more`));
  fill("rejections", state.rejections, (rejected) =>
    make("div", { class: "row line" }, make("span", { class: "text" }, `${rejected.email || "no e-mail"}: ${rejected.reason}`), make("span", { class: "dim" }, rejected.at)));
}

function lead(document_) {
  const info = document_.leadInfo;
  if (typeof info !== "object" || info === null) return "no leadInfo";
  const name = [info.firstName, info.lastName].filter((part) => typeof part === "string").join(" ");
  return [String(info.email ?? info.Email ?? "no e-mail"), name].filter(Boolean).join(" · ");
}

// Faults

function showFaults(state) {
  fill("rules", state.faults, (fault) => {
    const times = fault.times === null ? "until cleared" : `${fault.times} at most`;
    const more = Object.entries(fault).filter(([name, value]) => !["kind", "match", "times"].includes(name) && meant(name, value));
    const text = `${FAULTS[fault.kind] ?? fault.kind} for ${fault.match ?? "every call"}, ${times}`;
    const rest = more.map(([name, value]) => `${name} ${Array.isArray(value) ? JSON.stringify(value) : value}`).join(", ");
    return make("div", { class: "row line" }, make("span", { class: "text" }, text), make("span", { class: "dim" }, rest));
  });
}

function meant(name, value) {
  return value !== null && value !== false && value !== 0 && !(name === "probability" && value === 1) && !(Array.isArray(value) && !value.length);
}

function chooseFault() {
  const form = $("fault");
  const kind = form.elements.kind.value;
  for (const label of form.querySelectorAll("[data-for]")) label.hidden = !label.dataset.for.split(" ").includes(kind);
  form.elements.variant.replaceChildren(...(VARIANTS[kind] ?? []).map((value) => make("option", { value }, value)));
  form.elements.apply.checked = !["status", "drop", "html", "redirect"].includes(kind);
}

async function injectFault(event) {
  event.preventDefault();
  const fields = $("fault").elements;
  const used = (name) => !fields[name].closest("[data-for]")?.hidden && fields[name].value.trim() !== "";
  const fault = { kind: fields.kind.value, times: null, apply: fields.apply.checked };
  for (const name of ["match", "retry_after", "variant", "location"]) if (used(name)) fault[name] = fields[name].value.trim();
  for (const name of ["times", "after", "status", "seconds", "cut_after"]) if (used(name)) fault[name] = Number(fields[name].value);
  if (fault.kind === "delay" || fault.kind === "revoke_tokens") delete fault.apply;
  await act("Fault injected.", "POST", "faults", fault);
}

// Controls

async function connect() {
  vendors = await call("GET", `vendors?${new URLSearchParams({ base_url: location.origin })}`);
  const choices = () => Object.entries(vendors).map(([value, { title }]) => make("option", { value }, title));
  $("vendor").replaceChildren(...choices());
  $("seed").elements.vendor.replaceChildren(...choices());
  showKinds();
  const lines = Object.values(vendors).flatMap(({ environment }) => Object.entries(environment));
  $("exports").textContent = lines.map(([name, value]) => `export ${name}=${quoted(value)}`).join("\n");
}

function quoted(value) {
  return /^[\w.:/@%+=-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

function values(form) {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim() !== ""));
}

async function seed(event) {
  event.preventDefault();
  const form = $("seed").elements;
  let records;
  try {
    records = JSON.parse(form.document.value);
  } catch (error) {
    toast(`Not JSON: ${error.message}`);
    return;
  }
  await act("Seeded.", "POST", `seed?vendor=${encodeURIComponent(form.vendor.value)}`, records);
}

// Tabs and keys

function choose(name, focus = false) {
  for (const tab of TABS) {
    const chosen = tab === name;
    $(tab).hidden = !chosen;
    $(`tab-${tab}`).setAttribute("aria-selected", chosen);
    $(`tab-${tab}`).tabIndex = chosen ? 0 : -1;
  }
  if (focus) $(`tab-${name}`).focus();
  $(`tab-${name}`).scrollIntoView({ block: "nearest", inline: "nearest" });
  if (location.hash !== `#${name}`) history.replaceState(null, "", `#${name}`);
  if (name === "records") showRecords(true).catch(() => connected(false));
}

function current() {
  return TABS.find((tab) => !$(tab).hidden);
}

function tabKeys(event) {
  const at = TABS.indexOf(current());
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  choose(TABS[(to + TABS.length) % TABS.length], true);
}

function move(step) {
  const rows = [...$(current()).querySelectorAll("button.row")].filter((row) => row.offsetParent !== null);
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const from = at === -1 ? rows.findIndex((row) => row.getAttribute("aria-current")) : at;
  const next = rows[Math.min(Math.max(from + step, 0), rows.length - 1)];
  next.focus();
  if (!$(current()).querySelector(".detail")?.hidden) next.click();
}

function keys(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || $("confirm").open) return;
  if (event.key === "Escape") {
    if (closeDetail("arrival") || closeDetail("entry")) event.preventDefault();
    else if (event.target.matches("input")) event.target.blur();
    return;
  }
  if (event.target.matches("input, textarea, select")) return;
  if (event.key === "/") {
    event.preventDefault();
    if (current() !== "records") choose("requests");
    $(current() === "records" ? "search" : "filter").focus();
  } else if (/^[1-5]$/.test(event.key)) {
    choose(TABS[event.key - 1], true);
  } else if ((event.key === "j" || event.key === "ArrowDown")) {
    event.preventDefault();
    move(1);
  } else if ((event.key === "k" || event.key === "ArrowUp")) {
    event.preventDefault();
    move(-1);
  }
}

function start() {
  for (const tab of TABS) $(`tab-${tab}`).addEventListener("click", () => choose(tab));
  document.querySelector("[role=tablist]").addEventListener("keydown", tabKeys);
  document.addEventListener("keydown", keys);
  window.addEventListener("hashchange", () => TABS.includes(location.hash.slice(1)) && choose(location.hash.slice(1)));
  document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : look());

  for (const id of ["filter", "api", "problems"]) $(id).addEventListener("input", filterArrivals);
  $("vendor").addEventListener("change", chooseVendor);
  $("kind").addEventListener("change", searchRecords);
  $("search").addEventListener("input", () => { clearTimeout(searchRecords.timer); searchRecords.timer = setTimeout(searchRecords, 150); });

  $("process").addEventListener("click", () => act((answer) => `${answer.processed} processed.`, "POST", "process"));
  $("presets").append(...PRESETS.map(([name, fault]) => make("button", { type: "button", onclick: () => act(`${name}: injected.`, "POST", "faults", fault) }, name)));
  $("fault").elements.kind.append(...Object.entries(FAULTS).map(([value, name]) => make("option", { value }, name)));
  $("fault").elements.kind.addEventListener("change", chooseFault);
  $("fault").addEventListener("submit", injectFault);
  $("clear-faults").addEventListener("click", () => act("Faults cleared.", "DELETE", "faults"));
  chooseFault();

  $("moves").append(...MOVES.map(([name, seconds]) => make("button", { type: "button", onclick: () => act(`${name} later.`, "POST", "clock", { advance: seconds }) }, `+ ${name}`)));
  $("advance").addEventListener("submit", (event) => {
    event.preventDefault();
    const seconds = Number($("advance").elements.seconds.value);
    act(`${span(seconds)} later.`, "POST", "clock", { advance: seconds });
  });
  $("revoke").addEventListener("click", () => act("Every token is stale.", "POST", "revoke_tokens"));
  $("lead").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await act("Lead added.", "POST", "seed", { leads: [values($("lead"))] })) $("lead").reset();
  });
  $("seed").addEventListener("submit", seed);
  $("sample").addEventListener("click", () => act("Sample leads added.", "POST", "seed", SAMPLE));
  $("reset").addEventListener("click", () => $("confirm").showModal());
  $("confirm-no").addEventListener("click", () => $("confirm").close());
  $("confirm-yes").addEventListener("click", () => { $("confirm").close(); act("As new.", "POST", "reset"); });
  $("copy").addEventListener("click", () => navigator.clipboard.writeText($("exports").textContent).then(() => toast("Copied."), () => toast("The browser did not allow it.")));

  choose(TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "requests");
  look();
}

start();
