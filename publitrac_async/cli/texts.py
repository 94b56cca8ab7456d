"""The longer helps of commands."""

from __future__ import annotations

from typing import Final

SYNC_HELP: Final = """Bring the leads of SOURCE (.csv, .tsv, .jsonl, .xlsx, .parquet) to PUBLITRAC, and
account for every row.

Credentials come from the environment, never from the command line: PUBLITRAC_API_KEY, and for v1
PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD; each also as ..._FILE with the path of a file. PUBLITRAC_BASE_URL
names another environment. For vitec they are VITEC_USERNAME and VITEC_PASSWORD; VITEC_BASE_URL can name the
test host. For marketo they are MARKETO_BASE_URL, MARKETO_CLIENT_ID and MARKETO_CLIENT_SECRET.

With --ledger, a run that was interrupted or killed is taken up by the same command, and rows that have not
changed are not sent again. Every call to vitec makes another lead, so rows that may have arrived are not sent
again either: look them up, then use `settle`.

With --engine docket the rows are sent by processes that run `worker`, on any host, and this command reads,
plans and reports. They need a Redis or Valkey that all can reach, and SOURCE at the same path. --ledger is a
name then, not a file, and without --results no files of rows are written. If this command is killed, the
workers go on, and the same command joins them.

Where PUBLITRAC_REDIS_URL or --redis names a Redis, this command shares its limit with all others that do,
and for v1 and v2 the token; with either engine.

Ctrl-C lets the calls in flight end, also those of workers; a second one cancels those of this command.

\b
Exit status:
  0    every row is through; with --sandbox also if rows were rejected: nothing of yours is lost
  1    the run stopped early, rows are left to be sent, or what was read back is not what was sent
  2    it could not begin: options, configuration, input or ledger
  3    it went to its end, and some rows were rejected or have an unknown outcome
  130  interrupted
"""

EXPORT_HELP: Final = """Write leads to FILE (.csv, .jsonl, .xlsx), or to standard output if it is -.

They are read through v1: without --where, --view or --list all leads of the account. With several --where
all have to hold.

Cells that a spreadsheet would run as a formula get a quote in front, and `sync` takes it away again; phone
numbers and negative numbers stay as they are. A CSV file or workbook has a column for every field that
occurs.

What was read before an error or Ctrl-C is kept in FILE with .part in its name, and the page to go on with is
said.

\b
Exit status:
  0    all leads are there
  1    a page could not be read, or the file not be written
  2    it could not begin: options, configuration or file
  3    cells are empty because a workbook cannot hold their text
  130  interrupted
"""

COPY_HELP: Final = """Copy leads from PUBLITRAC to Marketo, and account for every one.

They are read through v1: without --where, --view or --list all leads of the account. With several --where
all have to hold. Fields that are empty in PUBLITRAC stay as they are in Marketo.

Credentials come from the environment, never from the command line: PUBLITRAC_API_KEY, PUBLITRAC_USERNAME and
PUBLITRAC_PASSWORD, and MARKETO_BASE_URL, MARKETO_CLIENT_ID and MARKETO_CLIENT_SECRET; each also as ..._FILE
with the path of a file.

With --ledger, a run that was interrupted or killed is taken up by the same command, and leads that have not
changed are not sent again. All leads are read before the first is sent.

\b
Exit status:
  0    every lead is through
  1    the leads could not be read, or the run stopped early and some are left to be sent
  2    it could not begin: options, configuration, mapping or ledger
  3    it went to its end, and some leads were rejected or have an unknown outcome
  130  interrupted
"""

WORKER_HELP: Final = """Send what `sync --engine docket`, or a program with DocketEngine, hands out, until
Ctrl-C or a polite kill.

Run as many as you like, on any host that reaches Redis, the service and the sources: they share the limit of
the account. Redis is what PUBLITRAC_REDIS_URL says (also as PUBLITRAC_REDIS_URL_FILE, since it may hold a
password); credentials come from the environment as for `sync`.

A worker that is asked to end lets its calls end, and the others send the rest of its rows. So they do when it
is killed; rows whose answer was lost are sent again, but not to vitec: see `settle`.

\b
Exit status:
  0    it was asked to end
  1    the service refused it, or something failed that nobody foresaw
  2    it could not begin: options, configuration, or a Redis that does not answer
"""
