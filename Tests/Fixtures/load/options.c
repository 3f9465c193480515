#include "options.h"

#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const char help[] =
    "usage: fixture-load --url URL --rate N (--duration S | --requests N | --control) [options]\n"
    "Asks on schedule, whatever the answers do (open loop); each latency counts from the time the request was due.\n"
    "No request is asked twice.\n"
    "\n"
    "  --url URL            http://HOST:PORT/PATH with a numeric host or localhost, or unix:PATH:/PATH\n"
    "  --rate N             requests a second in total\n"
    "  --duration S, --requests N   whichever ends first\n"
    "  --mode MODE          new (a connection each) | keepalive | both (in turn; the default)\n"
    "  --connections N      kept alive at most (64)\n"
    "  --timeout S          for one request (10)\n"
    "  --expect-status N    200; --expect-body TEXT must be part of the body\n"
    "  --timeline FILE      CSV: for every 100 ms what was due then: ms,sent,ok,failed,p99_us\n"
    "  --control            stdin takes `mark NAME` (what is due from now on counts for that phase, which has its own\n"
    "                       figures), `pause`, `resume`, `tally` (a line of JSON: what came of it so far) and\n"
    "                       `stop`; its end means stop\n"
    "  --json               the report as JSON\n"
    "\n"
    "SIGINT and SIGTERM end early, with a report. Exit status: 0, or 1 when a request failed.\n";

static const struct option table[] = {
    {"url", required_argument, NULL, 'u'},           {"rate", required_argument, NULL, 'r'},
    {"duration", required_argument, NULL, 'd'},      {"requests", required_argument, NULL, 'n'},
    {"mode", required_argument, NULL, 'm'},          {"connections", required_argument, NULL, 'c'},
    {"timeout", required_argument, NULL, 't'},       {"expect-status", required_argument, NULL, 's'},
    {"expect-body", required_argument, NULL, 'b'},   {"timeline", required_argument, NULL, 'l'},
    {"control", no_argument, NULL, 'k'},             {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},                {0},
};

void fail(int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("fixture-load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(status);
}

static double number(const char *what, const char *text) {
  char *end;
  double value = strtod(text, &end);
  if (*text == '\0' || *end != '\0' || !(value > 0)) fail(64, "--%s: a number above 0, not %s", what, text);
  return value;
}

static enum mode mode(const char *text) {
  if (strcmp(text, "new") == 0) return MODE_NEW;
  if (strcmp(text, "keepalive") == 0) return MODE_KEEPALIVE;
  if (strcmp(text, "both") == 0) return MODE_BOTH;
  fail(64, "--mode: new, keepalive or both, not %s", text);
}

static void read_unix_url(struct options *options, const char *url) {
  const char *path = url + strlen("unix:"), *colon = strchr(path, ':');
  size_t length = colon != NULL ? (size_t)(colon - path) : strlen(path);
  struct sockaddr_un *address = (struct sockaddr_un *)&options->address;
  if (length == 0 || length >= sizeof address->sun_path) fail(64, "--url: unix:PATH:/PATH, not %s", url);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, length);
  options->address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
  strcpy(options->host, "localhost");
  snprintf(options->path, sizeof options->path, "%s", colon != NULL ? colon + 1 : "/");
}

static void read_http_url(struct options *options, const char *url) {
  const char *start = url + strlen("http://"), *slash = strchr(start, '/');
  size_t length = slash != NULL ? (size_t)(slash - start) : strlen(start);
  if (length == 0 || length >= sizeof options->host - 1) fail(64, "--url: http://HOST:PORT/PATH, not %s", url);
  memcpy(options->host, start, length);
  snprintf(options->path, sizeof options->path, "%s", slash != NULL ? slash : "/");
  char host[300];
  strcpy(host, options->host);
  char *colon = strrchr(host, ':'), *name = host;
  bool has_port = colon != NULL && strchr(colon, ']') == NULL;
  if (has_port) *colon = '\0';
  if (*name == '[') {
    name++;
    name[strcspn(name, "]")] = '\0';
  }
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  int error = getaddrinfo(name, has_port ? colon + 1 : "80", &hints, &found);
  if (error != 0) fail(64, "--url %s: %s", url, gai_strerror(error));
  memcpy(&options->address, found->ai_addr, found->ai_addrlen);
  options->address_length = found->ai_addrlen;
  freeaddrinfo(found);
}

static void read_url(struct options *options, const char *url) {
  if (strncmp(url, "unix:", 5) == 0) read_unix_url(options, url);
  else if (strncmp(url, "http://", 7) == 0) read_http_url(options, url);
  else fail(64, "--url: http://… or unix:…, not %s", url);
}

void options_read(struct options *options, int argc, char **argv) {
  *options = (struct options){
      .mode = MODE_BOTH, .connections = 64, .timeout_ns = 10000000000, .expect_status = 200};
  for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;) {
    switch (option) {
      case 'u': read_url(options, optarg); break;
      case 'r': options->rate = number("rate", optarg); break;
      case 'd': options->duration_s = number("duration", optarg); break;
      case 'n': options->requests = (uint64_t)number("requests", optarg); break;
      case 'm': options->mode = mode(optarg); break;
      case 'c': options->connections = (int)number("connections", optarg); break;
      case 't': options->timeout_ns = (uint64_t)(number("timeout", optarg) * 1e9); break;
      case 's': options->expect_status = (int)number("expect-status", optarg); break;
      case 'b': options->expect_body = optarg; break;
      case 'l': options->timeline = optarg; break;
      case 'k': options->control = true; break;
      case 'j': options->json = true; break;
      case 'h': fputs(help, stdout); exit(0);
      default: fail(64, "see fixture-load --help");
    }
  }
  if (optind < argc) fail(64, "unexpected argument: %s", argv[optind]);
  if (options->address_length == 0 || options->rate <= 0) fail(64, "--url and --rate are needed");
  if (options->duration_s <= 0 && options->requests == 0 && !options->control)
    fail(64, "one of --duration, --requests and --control is needed");
}
