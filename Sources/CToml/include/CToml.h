#pragma once
/* toml++ behind C: a document, its nodes with their positions, or one syntax error. Source: TOML 1.0, toml++ 3.3. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One parsed file. Owns its nodes: they live until ctoml_free. */
typedef struct ctoml_document ctoml_document;
/* A value of a document. Borrowed. */
typedef struct ctoml_node ctoml_node;

typedef enum ctoml_type {
  CTOML_TABLE,
  CTOML_ARRAY,
  CTOML_STRING,
  CTOML_INTEGER,
  CTOML_FLOAT,
  CTOML_BOOLEAN,
  CTOML_DATE,
} ctoml_type;

/* Lines and columns count from 1, columns in code points. */
typedef struct ctoml_position {
  uint32_t line;
  uint32_t column;
} ctoml_position;

typedef struct ctoml_error {
  ctoml_position position;
  /* Always terminated; cut when longer. */
  char message[512];
} ctoml_error;

/* Bytes of a string or key, not terminated: they may hold a NUL. Borrowed. */
typedef struct ctoml_text {
  const char *bytes;
  size_t length;
} ctoml_text;

typedef struct ctoml_entry {
  ctoml_text key;
  ctoml_position key_position;
  const ctoml_node *value;
} ctoml_entry;

/* NULL and a filled error when `bytes` is not TOML 1.0 in UTF-8, or nests deeper than this parser follows
   (32 values, 512 dots in a line), so that no input can exhaust the stack. */
ctoml_document *ctoml_parse(const char *bytes, size_t length, ctoml_error *error);
void ctoml_free(ctoml_document *document);

/* A CTOML_TABLE. */
const ctoml_node *ctoml_root(const ctoml_document *document);
ctoml_type ctoml_node_type(const ctoml_node *node);
/* Where the value is written; for [a.b] the header. 0:0 for the root. */
ctoml_position ctoml_node_position(const ctoml_node *node);

/* The number of elements of an array or entries of a table; 0 for anything else. */
size_t ctoml_count(const ctoml_node *node);
/* Fills ctoml_count(table) entries in the order of the file. */
void ctoml_entries(const ctoml_node *table, ctoml_entry *out);
/* NULL when out of range or not an array. */
const ctoml_node *ctoml_element(const ctoml_node *array, size_t index);

/* Each is empty or zero for a node of another type. */
ctoml_text ctoml_string(const ctoml_node *node);
int64_t ctoml_integer(const ctoml_node *node);
double ctoml_float(const ctoml_node *node);
bool ctoml_boolean(const ctoml_node *node);

#ifdef __cplusplus
}
#endif
