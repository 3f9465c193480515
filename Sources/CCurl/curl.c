#define _GNU_SOURCE
#define CURL_DISABLE_TYPECHECK
#include "CCurl.h"
#include <curl/curl.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(F) \
  F(curl_global_init) F(curl_easy_init) F(curl_easy_setopt) F(curl_easy_getinfo) F(curl_easy_strerror) \
  F(curl_easy_cleanup) F(curl_multi_init) F(curl_multi_add_handle) F(curl_multi_perform) F(curl_multi_poll) \
  F(curl_multi_info_read) F(curl_multi_remove_handle) F(curl_multi_cleanup) F(curl_multi_strerror) \
  F(curl_slist_append) F(curl_slist_free_all)

static struct {
#define FIELD(name) __typeof__(&name) name;
  FUNCTIONS(FIELD)
#undef FIELD
} lib;

static const char *load_once(void) {
  static bool loaded = false;
  if (loaded) return NULL;
  void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!library) library = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!library) return dlerror();
#define FIND(name) \
  if (!(lib.name = (__typeof__(&name))dlsym(library, #name))) return dlerror();
  FUNCTIONS(FIND)
#undef FIND
  if (lib.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return "curl_global_init failed";
  loaded = true;
  return NULL;
}

static const char *load(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  const char *reason = load_once();
  pthread_mutex_unlock(&lock);
  return reason;
}

struct transfer {
  const struct cc_question *question;
  struct cc_answer *answer;
  size_t capacity;
  bool was_cut;
  char error[CURL_ERROR_SIZE];
};

static size_t took_body(char *bytes, size_t size, size_t count, void *context) {
  struct transfer *transfer = context;
  struct cc_answer *answer = transfer->answer;
  size_t length = size * count, room = transfer->question->body_limit - answer->body_length;
  size_t kept = length < room ? length : room;
  if (answer->body_length + kept > transfer->capacity) {
    size_t capacity = transfer->capacity ? transfer->capacity * 2 : 16384;
    while (capacity < answer->body_length + kept) capacity *= 2;
    uint8_t *grown = realloc(answer->body, capacity);
    if (!grown) return 0;
    answer->body = grown;
    transfer->capacity = capacity;
  }
  if (kept) memcpy(answer->body + answer->body_length, bytes, kept);
  answer->body_length += kept;
  if (kept == length) return length;
  // Anything but the length given ends the transfer.
  transfer->was_cut = true;
  return 0;
}

static curl_socket_t give_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  struct transfer *transfer = context;
  (void)purpose;
  char host[INET6_ADDRSTRLEN] = "";
  int port = 0;
  if (address->family == AF_INET) {
    struct sockaddr_in *name = (void *)&address->addr;
    inet_ntop(AF_INET, &name->sin_addr, host, sizeof host);
    port = ntohs(name->sin_port);
  } else if (address->family == AF_INET6) {
    struct sockaddr_in6 *name = (void *)&address->addr;
    inet_ntop(AF_INET6, &name->sin6_addr, host, sizeof host);
    port = ntohs(name->sin6_port);
  }
  int descriptor = transfer->question->take_socket(transfer->question->context, host, port);
  return descriptor < 0 ? CURL_SOCKET_BAD : descriptor;
}

static CURLcode prepare(CURL *easy, struct transfer *transfer, struct curl_slist *headers, struct curl_slist *connect) {
  const struct cc_question *question = transfer->question;
  CURLcode code = CURLE_OK;
#define SET(option, value) \
  if (code == CURLE_OK) code = lib.curl_easy_setopt(easy, option, value)
  SET(CURLOPT_ERRORBUFFER, transfer->error);
  SET(CURLOPT_URL, question->url);
  // Nothing of the environment or of a home directory decides whom we ask.
  SET(CURLOPT_PROXY, "");
  SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  SET(CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  if (strcmp(question->method, "HEAD") == 0) {
    SET(CURLOPT_NOBODY, 1L);
  } else if (strcmp(question->method, "POST") == 0) {
    SET(CURLOPT_POSTFIELDS, "");
    SET(CURLOPT_POSTFIELDSIZE, 0L);
  } else if (strcmp(question->method, "GET") != 0) {
    SET(CURLOPT_CUSTOMREQUEST, question->method);
  }
  SET(CURLOPT_USERAGENT, "baton");
  if (headers) SET(CURLOPT_HTTPHEADER, headers);
  SET(CURLOPT_FOLLOWLOCATION, question->redirects > 0 ? 1L : 0L);
  SET(CURLOPT_MAXREDIRS, (long)question->redirects);
  // Milliseconds and at least one: 0 would mean "no limit".
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(question->connect_timeout_ms > 0 ? question->connect_timeout_ms : 1));
  SET(CURLOPT_TIMEOUT_MS, (long)(question->timeout_ms > 0 ? question->timeout_ms : 1));
  // Each question finds out anew whether somebody listens.
  SET(CURLOPT_FRESH_CONNECT, 1L);
  SET(CURLOPT_FORBID_REUSE, 1L);
  SET(CURLOPT_WRITEFUNCTION, took_body);
  SET(CURLOPT_WRITEDATA, transfer);
  if (question->unix_path) SET(CURLOPT_UNIX_SOCKET_PATH, question->unix_path);
  if (question->ca_file) {
    SET(CURLOPT_CAINFO, question->ca_file);
    SET(CURLOPT_CAPATH, NULL);
  }
  if (connect) SET(CURLOPT_CONNECT_TO, connect);
  if (question->take_socket) {
    SET(CURLOPT_OPENSOCKETFUNCTION, give_socket);
    // Not connected yet: libcurl 7.88 cannot bear one that is (CURL_SOCKOPT_ALREADY_CONNECTED; put right in 8.0).
    SET(CURLOPT_OPENSOCKETDATA, transfer);
  }
#undef SET
  return code;
}

static void note(struct cc_answer *answer, enum cc_end end, int code, const char *reason) {
  answer->end = end;
  answer->code = code;
  snprintf(answer->reason, sizeof answer->reason, "%s", reason ? reason : "unknown reason");
}

/// One transfer alone in a multi handle: that is what lets a descriptor of the caller end the waiting.
static void drive(CURL *easy, CURLM *multi, struct transfer *transfer) {
  struct cc_answer *answer = transfer->answer;
  int running = 1;
  while (true) {
    CURLMcode step = lib.curl_multi_perform(multi, &running);
    if (step != CURLM_OK) return note(answer, CC_FAILED, CURLE_OUT_OF_MEMORY, lib.curl_multi_strerror(step));
    int left = 0;
    CURLMsg *message;
    while ((message = lib.curl_multi_info_read(multi, &left))) {
      if (message->msg != CURLMSG_DONE || message->easy_handle != easy) continue;
      CURLcode code = message->data.result;
      if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && transfer->was_cut)) {
        answer->end = CC_ANSWERED;
        answer->body_is_cut = transfer->was_cut;
      } else {
        note(answer, CC_FAILED, code, transfer->error[0] ? transfer->error : lib.curl_easy_strerror(code));
      }
      return;
    }
    struct curl_waitfd waited = {.fd = transfer->question->abort_descriptor, .events = CURL_WAIT_POLLIN};
    int ready = 0;
    step = lib.curl_multi_poll(multi, &waited, waited.fd >= 0 ? 1 : 0, 1000, &ready);
    if (step != CURLM_OK) return note(answer, CC_FAILED, CURLE_OUT_OF_MEMORY, lib.curl_multi_strerror(step));
    if (waited.fd >= 0 && waited.revents) return note(answer, CC_ABORTED, 0, "aborted");
  }
}

static void read_facts(CURL *easy, struct cc_answer *answer) {
  long number = 0;
  if (lib.curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &number) == CURLE_OK) answer->status = number;
  if (lib.curl_easy_getinfo(easy, CURLINFO_REDIRECT_COUNT, &number) == CURLE_OK) answer->redirects = number;
  if (lib.curl_easy_getinfo(easy, CURLINFO_PRIMARY_PORT, &number) == CURLE_OK) answer->peer_port = number;
  curl_off_t time = 0;
  if (lib.curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &time) == CURLE_OK) answer->connected_us = time;
  if (lib.curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &time) == CURLE_OK) answer->took_us = time;
  char *text = NULL;
  if (lib.curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &text) == CURLE_OK && text) {
    snprintf(answer->location, sizeof answer->location, "%s", text);
  }
  if (lib.curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &text) == CURLE_OK && text) {
    snprintf(answer->peer, sizeof answer->peer, "%s", text);
  }
}

void cc_ask(const struct cc_question *question, struct cc_answer *answer) {
  *answer = (struct cc_answer){.end = CC_UNUSABLE};
  const char *reason = load();
  if (reason) return note(answer, CC_UNUSABLE, 0, reason);
  struct transfer transfer = {.question = question, .answer = answer};
  struct curl_slist *headers = NULL, *connect = NULL;
  bool complete = true;
  for (size_t index = 0; complete && index < question->header_count; index++) {
    struct curl_slist *longer = lib.curl_slist_append(headers, question->headers[index]);
    complete = longer != NULL;
    if (complete) headers = longer;
  }
  if (question->connect_to) complete = complete && (connect = lib.curl_slist_append(NULL, question->connect_to));
  CURL *easy = lib.curl_easy_init();
  CURLM *multi = lib.curl_multi_init();
  if (!complete || !easy || !multi) {
    note(answer, CC_UNUSABLE, CURLE_OUT_OF_MEMORY, "out of memory");
  } else {
    CURLcode code = prepare(easy, &transfer, headers, connect);
    if (code != CURLE_OK) {
      note(answer, CC_FAILED, code, transfer.error[0] ? transfer.error : lib.curl_easy_strerror(code));
    } else if (lib.curl_multi_add_handle(multi, easy) != CURLM_OK) {
      note(answer, CC_UNUSABLE, 0, "curl_multi_add_handle failed");
    } else {
      drive(easy, multi, &transfer);
      read_facts(easy, answer);
      lib.curl_multi_remove_handle(multi, easy);
    }
  }
  if (easy) lib.curl_easy_cleanup(easy);
  if (multi) lib.curl_multi_cleanup(multi);
  lib.curl_slist_free_all(headers);
  lib.curl_slist_free_all(connect);
}

void cc_release(struct cc_answer *answer) {
  free(answer->body);
  answer->body = NULL;
  answer->body_length = 0;
}

enum cc_trouble cc_trouble(int code) {
  switch ((CURLcode)code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return CC_TROUBLE_URL;
    case CURLE_COULDNT_RESOLVE_HOST: return CC_TROUBLE_RESOLVE;
    case CURLE_COULDNT_CONNECT: return CC_TROUBLE_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: return CC_TROUBLE_TIMEOUT;
    case CURLE_TOO_MANY_REDIRECTS: return CC_TROUBLE_REDIRECTS;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE: return CC_TROUBLE_TLS;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE: return CC_TROUBLE_CUT;
    default: return CC_TROUBLE_OTHER;
  }
}
