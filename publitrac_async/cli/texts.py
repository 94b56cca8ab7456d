"""Help texts of commands."""

from __future__ import annotations

from typing import Final

from publitrac_async.cli.vendors import SERVICES, VENDORS

_CREDENTIALS: Final = " ".join(service.credentials for service in SERVICES)
#: Vendors whose every call creates another lead.
_APPENDING: Final = " or ".join(vendor.name for vendor in VENDORS.values() if vendor.appends)

SYNC_HELP: Final = f"""Send the leads of SOURCE (.csv, .tsv, .jsonl, .json, .xlsx, .xls, .ods, .parquet; text
also as .csv.gz) to PUBLITRAC, and report the outcome of every row.

Several files, or a pattern ('crm/*.csv'), make one run. SOURCE - is standard input, which needs --format.

Credentials are read from the environment, never from the command line: {_CREDENTIALS}

With --state, the same command resumes a run that was interrupted or killed, and unchanged rows are not sent
again. Every call to {_APPENDING} creates another lead, so rows that may have arrived are not sent again
either: look them up, then use `reconcile`.

Without --state, --results and --sandbox, results are written to SOURCE.results.

With --executor docket, this command reads, plans and reports, and processes that run `worker`, on any host,
send the rows. All of them need to reach one Redis or Valkey, and SOURCE at the same path. --state is then a
name, not a file, and result files are written with --results only. If this command is killed, the workers
continue, and the same command joins them.

With PUBLITRAC_REDIS_URL or --redis, all commands with the same Redis share the rate limit of the account, and
for v1 and v2 the token.

After Ctrl-C the calls in flight complete, also those of workers; a second Ctrl-C cancels the calls of this
command.

\b
Exit status:
  0    every row has an outcome; with --sandbox also if rows were rejected
  1    the run stopped early, rows are pending, or the leads read back differ from the rows
  2    the run did not start: options, configuration, source or state store
  3    the run is complete, and some rows were rejected or have an unknown outcome
  4    the run did not start: another run uses the state store
  130  interrupted
"""

EXPORT_HELP: Final = """Write leads to FILE (.csv, .jsonl, .xlsx), or to standard output if it is -.

Leads are read through v1: all leads of the account, unless --where, --view or --list selects some. A lead
has to match every --where.

Cells that a spreadsheet would run as a formula are prefixed with a quote, which `sync` removes again; phone
numbers and negative numbers stay unchanged. A CSV file or workbook has a column for every field with a
value.

Leads read before an error or Ctrl-C are kept in FILE with .part in its name; a message names the page to
continue with.

\b
Exit status:
  0    all leads were written
  1    a page could not be read, or the file could not be written
  2    the export did not start: options, configuration or file
  3    pages were skipped, or cells are empty because a workbook cannot hold their text
  130  interrupted
"""

COPY_HELP: Final = """Copy leads from PUBLITRAC to Marketo, and report the outcome of every lead.

Leads are read through v1: all leads of the account, unless --where, --view or --list selects some. A lead
has to match every --where. Fields that are empty in PUBLITRAC stay unchanged in Marketo. An opt-out is
copied, its absence is not, unless the mapping file has a table consent with unsubscribed = "both".

Credentials are read from the environment, never from the command line: PUBLITRAC_API_KEY, PUBLITRAC_USERNAME
and PUBLITRAC_PASSWORD, and MARKETO_BASE_URL, MARKETO_CLIENT_ID and MARKETO_CLIENT_SECRET; each also as
..._FILE with the path of a file.

With --state, the same command resumes a run that was interrupted or killed, and unchanged leads are not sent
again. All leads are read before the first is sent.

\b
Exit status:
  0    every lead has an outcome
  1    the leads could not be read, or the run stopped early and leads are pending
  2    the run did not start: options, configuration, mapping or state store
  3    the run is complete, and some leads were rejected or have an unknown outcome
  4    the run did not start: another run uses the state store
  130  interrupted
"""

STATUS_HELP: Final = """Show the runs of `sync --executor docket` and of programs with DocketExecutor: the
current or last run of each state store in Redis, or of the one named STATE.

The column rows counts the rows to be sent. They are queued, in flight, or have an outcome; failed rows were
rejected, or their call failed or has an unknown outcome. The rate is that of the last ten to twenty seconds,
and workers are those with a sign of life in the last ten seconds.

Phases: reading, sending, ended, stopped, or abandoned: the process that started the run has ended, and
no worker has claimed a chunk of it; the same command resumes it.

--failed writes the failed rows of a run, with their lines in the source. It works from any host until the
next run of the state store, even if the host that started the run was lost with its result files.

\b
Exit status:
  0    done
  2    options, configuration, no such state store, or a Redis that does not respond
"""

WORKER_HELP: Final = f"""Send rows of runs that `sync --executor docket`, or a program with DocketExecutor,
starts, until Ctrl-C or SIGTERM.

Run any number of workers, on any host that reaches Redis, the service and the sources: they share the rate
limit of the account. PUBLITRAC_REDIS_URL is the URL of Redis; it may hold a password, so it can also be read
from the file that PUBLITRAC_REDIS_URL_FILE names. Credentials are read from the environment as for `sync`.

On Ctrl-C or SIGTERM a worker completes its calls in flight, and other workers send the rest of its rows. They
do the same if it is killed; rows whose response was lost are sent again, but not to {_APPENDING}: see
`reconcile`.

\b
Exit status:
  0    ended by request
  1    the service refused the worker, or an unforeseen error
  2    the worker did not start: options, configuration, or a Redis that does not respond
"""

PROBE_HELP: Final = """Settle the open points of PUBLITRAC's documents on your account.

By default the probe only reads: about 40 calls, 5 per second, with the credentials of the environment. It
ends at the first sign of harm: an excess call, a locked account, refused credentials. It prints a line for
each open point and writes a profile, a TOML file with the settings found and the evidence, without
credentials and personal data.

The exit status is 1 if the probe ended early; the profile then has the settings found before that.
"""
