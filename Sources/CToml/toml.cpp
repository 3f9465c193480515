// Compiled in rather than linked: the shared library of the distribution is built with exceptions, and a supervisor
// neither throws nor depends on one more library at run time.
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 32
#include "CToml.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <toml++/toml.h>

struct ctoml_document {
  toml::table root;
};

namespace {

constexpr size_t max_dots_in_line = 512;

const toml::node *unwrap(const ctoml_node *node) { return reinterpret_cast<const toml::node *>(node); }
const ctoml_node *wrap(const toml::node *node) { return reinterpret_cast<const ctoml_node *>(node); }
ctoml_position position(const toml::source_region &region) { return {region.begin.line, region.begin.column}; }

void fill(ctoml_error *error, ctoml_position position, std::string_view message) {
  if (!error) return;
  error->position = position;
  size_t length = std::min(message.size(), sizeof error->message - 1);
  message.copy(error->message, length);
  error->message[length] = 0;
}

// toml++ 3.3 bounds nested values but not a.b.c keys, and frees nested tables by recursion.
bool dots_are_bounded(std::string_view bytes, ctoml_error *error) {
  uint32_t line = 1;
  size_t dots = 0;
  for (size_t i = 0; i < bytes.size(); i++) {
    if (bytes[i] == '\n') {
      line++;
      dots = 0;
    } else if (bytes[i] == '.' && ++dots > max_dots_in_line) {
      fill(error, {line, 1}, "more than 512 dots in one line; keys are not nested that deep");
      return false;
    }
  }
  return true;
}

}  // namespace

ctoml_document *ctoml_parse(const char *bytes, size_t length, ctoml_error *error) {
  std::string_view text(bytes ? bytes : "", bytes ? length : 0);
  if (!dots_are_bounded(text, error)) return nullptr;
  toml::parse_result result = toml::parse(text);
  if (result.failed()) {
    fill(error, position(result.error().source()), result.error().description());
    return nullptr;
  }
  return new ctoml_document{std::move(result).table()};
}

void ctoml_free(ctoml_document *document) { delete document; }

const ctoml_node *ctoml_root(const ctoml_document *document) { return wrap(&document->root); }

ctoml_type ctoml_node_type(const ctoml_node *node) {
  switch (unwrap(node)->type()) {
    case toml::node_type::array: return CTOML_ARRAY;
    case toml::node_type::string: return CTOML_STRING;
    case toml::node_type::integer: return CTOML_INTEGER;
    case toml::node_type::floating_point: return CTOML_FLOAT;
    case toml::node_type::boolean: return CTOML_BOOLEAN;
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time: return CTOML_DATE;
    case toml::node_type::table:
    case toml::node_type::none: return CTOML_TABLE;
  }
  return CTOML_TABLE;
}

ctoml_position ctoml_node_position(const ctoml_node *node) { return position(unwrap(node)->source()); }

size_t ctoml_count(const ctoml_node *node) {
  if (auto *table = unwrap(node)->as_table()) return table->size();
  if (auto *array = unwrap(node)->as_array()) return array->size();
  return 0;
}

void ctoml_entries(const ctoml_node *node, ctoml_entry *out) {
  auto *table = unwrap(node)->as_table();
  if (!table) return;
  ctoml_entry *next = out;
  for (auto &&[key, value] : *table) {
    *next++ = {{key.str().data(), key.str().size()}, position(key.source()), wrap(&value)};
  }
  // toml++ keeps tables sorted by key; people read files from the top.
  std::sort(out, next, [](const ctoml_entry &left, const ctoml_entry &right) {
    auto a = left.key_position, b = right.key_position;
    return a.line != b.line ? a.line < b.line : a.column < b.column;
  });
}

const ctoml_node *ctoml_element(const ctoml_node *node, size_t index) {
  auto *array = unwrap(node)->as_array();
  return array && index < array->size() ? wrap(array->get(index)) : nullptr;
}

ctoml_text ctoml_string(const ctoml_node *node) {
  auto *value = unwrap(node)->as_string();
  return value ? ctoml_text{value->get().data(), value->get().size()} : ctoml_text{"", 0};
}

int64_t ctoml_integer(const ctoml_node *node) {
  auto *value = unwrap(node)->as_integer();
  return value ? value->get() : 0;
}

double ctoml_float(const ctoml_node *node) {
  auto *value = unwrap(node)->as_floating_point();
  return value ? value->get() : 0;
}

bool ctoml_boolean(const ctoml_node *node) {
  auto *value = unwrap(node)->as_boolean();
  return value && value->get();
}
