// libpq, opened when it is first needed: only migrations of PostgreSQL and locks that lie in one need it, and baton
// does without it otherwise.
#pragma once

#include <postgresql/libpq-fe.h>

/// The functions of libpq this project calls, with the types of its own header.
#define CPG_FUNCTIONS(F) \
  F(PQconnectStartParams) \
  F(PQconnectPoll) \
  F(PQstatus) \
  F(PQsocket) \
  F(PQfinish) \
  F(PQerrorMessage) \
  F(PQserverVersion) \
  F(PQtransactionStatus) \
  F(PQsetNoticeReceiver) \
  F(PQsetnonblocking) \
  F(PQsendQueryParams) \
  F(PQflush) \
  F(PQconsumeInput) \
  F(PQisBusy) \
  F(PQgetResult) \
  F(PQresultStatus) \
  F(PQresultErrorField) \
  F(PQresultErrorMessage) \
  F(PQcmdStatus) \
  F(PQntuples) \
  F(PQnfields) \
  F(PQgetisnull) \
  F(PQgetvalue) \
  F(PQclear) \
  F(PQgetCancel) \
  F(PQcancel) \
  F(PQfreeCancel) \
  F(PQnotifies) \
  F(PQfreemem)

struct cpg_library {
#define CPG_FIELD(name) __typeof__(&name) name;
  CPG_FUNCTIONS(CPG_FIELD)
#undef CPG_FIELD
};

/// Opens libpq.so.5 and finds every function. NULL when that fails, with the reason in `reason` (static or owned by
/// dlerror(3): copy it). Threads must not call it at the same time for the first time.
const struct cpg_library *cpg_load(const char **reason);

// The fields of a message are numbered by characters, which Swift does not import as numbers.
enum cpg_field {
  CPG_SEVERITY = PG_DIAG_SEVERITY_NONLOCALIZED,
  CPG_STATE = PG_DIAG_SQLSTATE,
  CPG_MESSAGE = PG_DIAG_MESSAGE_PRIMARY,
  CPG_DETAIL = PG_DIAG_MESSAGE_DETAIL,
  CPG_HINT = PG_DIAG_MESSAGE_HINT,
  CPG_POSITION = PG_DIAG_STATEMENT_POSITION,
};
