#include "gas_table.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES ((size_t)256 << 20)
#define MAX_DEPTH 64
#define MAX_NFE 10000
#define MAX_SIDE 8192
#define MAX_ENTRIES ((size_t)1 << 26)
#define MAX_NUMBER 128 /* characters of a number */

/* Always 0, so that a check can return it. */
static int fail(gas_error *error, const char *format, ...) {
  if (error != NULL) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
  }
  return 0;
}

/* ---- JSON: a list of values, in the order of the text, each followed by what it contains ---- */

typedef enum { JSON_OBJECT, JSON_ARRAY, JSON_TEXT, JSON_NUMBER, JSON_WORD } json_kind;

typedef struct {
  json_kind kind;
  size_t begin, end; /* in the text; of a text without its quotes */
  size_t count;      /* items of an array, members of an object (a key and a value each) */
  size_t next;       /* the value after this one and its contents */
} json_value;

typedef struct {
  const char *text;
  size_t length, at;
  json_value *values;
  size_t count, capacity;
  gas_error *error;
} json_reader;

static void skip_space(json_reader *r) {
  while (r->at < r->length && strchr(" \t\r\n", r->text[r->at]) != NULL && r->text[r->at] != '\0') ++r->at;
}

static int next_is(const json_reader *r, char c) { return r->at < r->length && r->text[r->at] == c; }

static int is_digit(const json_reader *r) {
  return r->at < r->length && r->text[r->at] >= '0' && r->text[r->at] <= '9';
}

static int not_json(json_reader *r) { return fail(r->error, "not JSON at offset %lu", (unsigned long)r->at); }

/* The index of a new value that begins here, or (size_t)-1 without memory. */
static size_t add_value(json_reader *r, json_kind kind) {
  if (r->count == r->capacity) {
    size_t capacity = r->capacity * 2 + 256;
    json_value *values = realloc(r->values, capacity * sizeof *values);
    if (values == NULL) return (size_t)-1;
    r->values = values;
    r->capacity = capacity;
  }
  json_value value = {kind, r->at, r->at, 0, 0};
  r->values[r->count] = value;
  return r->count++;
}

static int is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int scan_escape(json_reader *r) {
  ++r->at;
  if (r->at >= r->length || r->text[r->at] == '\0' || strchr("\"\\/bfnrtu", r->text[r->at]) == NULL)
    return not_json(r);
  if (r->text[r->at] != 'u') return 1;
  for (int i = 0; i < 4; ++i) {
    ++r->at;
    if (r->at >= r->length || !is_hex(r->text[r->at])) return not_json(r);
  }
  return 1;
}

static int scan_text(json_reader *r) {
  for (++r->at; r->at < r->length; ++r->at) {
    if (r->text[r->at] == '"') return 1;
    if ((unsigned char)r->text[r->at] < 0x20) return not_json(r);
    if (r->text[r->at] == '\\' && !scan_escape(r)) return 0;
  }
  return not_json(r);
}

static int scan_digits(json_reader *r) {
  if (!is_digit(r)) return not_json(r);
  while (is_digit(r)) ++r->at;
  return 1;
}

static int scan_number(json_reader *r) {
  if (next_is(r, '-')) ++r->at;
  if (next_is(r, '0')) {
    ++r->at;
  } else if (!scan_digits(r)) {
    return 0;
  }
  if (next_is(r, '.')) {
    ++r->at;
    if (!scan_digits(r)) return 0;
  }
  if (next_is(r, 'e') || next_is(r, 'E')) {
    ++r->at;
    if (next_is(r, '+') || next_is(r, '-')) ++r->at;
    if (!scan_digits(r)) return 0;
  }
  return 1;
}

static int scan_word(json_reader *r) {
  static const char *const words[] = {"true", "false", "null"};
  for (size_t i = 0; i < sizeof words / sizeof *words; ++i) {
    const size_t length = strlen(words[i]);
    if (r->length - r->at >= length && memcmp(r->text + r->at, words[i], length) == 0) {
      r->at += length;
      return 1;
    }
  }
  return not_json(r);
}

static int scan_value(json_reader *r, int depth);

static int scan_key(json_reader *r) {
  skip_space(r);
  if (!next_is(r, '"') || !scan_value(r, 0)) return not_json(r);
  skip_space(r);
  if (!next_is(r, ':')) return not_json(r);
  ++r->at;
  return 1;
}

/* The items of an array or the members of an object, of which the bracket is next. */
static int scan_items(json_reader *r, size_t index, int depth) {
  const int object = r->values[index].kind == JSON_OBJECT;
  const char close = object ? '}' : ']';
  if (depth >= MAX_DEPTH) return fail(r->error, "nested more than %d deep", MAX_DEPTH);
  ++r->at;
  skip_space(r);
  if (next_is(r, close)) {
    ++r->at;
    return 1;
  }
  for (;;) {
    if (object && !scan_key(r)) return 0;
    if (!scan_value(r, depth + 1)) return 0;
    ++r->values[index].count;
    skip_space(r);
    if (next_is(r, close)) break;
    if (!next_is(r, ',')) return not_json(r);
    ++r->at;
  }
  ++r->at;
  return 1;
}

static int scan_value(json_reader *r, int depth) {
  skip_space(r);
  if (r->at >= r->length) return not_json(r);
  const char c = r->text[r->at];
  const int number = c == '-' || (c >= '0' && c <= '9');
  const json_kind kind = c == '{'   ? JSON_OBJECT
                         : c == '[' ? JSON_ARRAY
                         : c == '"' ? JSON_TEXT
                         : number   ? JSON_NUMBER
                                    : JSON_WORD;
  const size_t index = add_value(r, kind);
  if (index == (size_t)-1) return fail(r->error, "no memory for %lu values of JSON", (unsigned long)r->count);
  int ok = 0;
  switch (kind) {
    case JSON_OBJECT:
    case JSON_ARRAY: ok = scan_items(r, index, depth); break;
    case JSON_TEXT: ok = scan_text(r); break;
    case JSON_NUMBER: ok = scan_number(r); break;
    case JSON_WORD: ok = scan_word(r); break;
  }
  if (!ok) return 0;
  json_value *value = &r->values[index];
  if (kind == JSON_TEXT) ++value->begin;
  value->end = r->at;
  if (kind == JSON_TEXT) ++r->at;
  value->next = r->count;
  return 1;
}

static int scan_document(json_reader *r) {
  if (!scan_value(r, 0)) return 0;
  skip_space(r);
  return r->at == r->length || not_json(r);
}

static int text_is(const json_reader *r, const json_value *value, const char *word) {
  const size_t length = value->end - value->begin;
  return value->kind == JSON_TEXT && length == strlen(word) &&
         memcmp(r->text + value->begin, word, length) == 0;
}

/* The value of a key; NULL if there is none. Sets `twice` if there are two. */
static const json_value *find(const json_reader *r, const json_value *object, const char *key, int *twice) {
  const json_value *found = NULL;
  if (object->kind != JSON_OBJECT) return NULL;
  size_t at = (size_t)(object - r->values) + 1;
  for (size_t i = 0; i < object->count; ++i) {
    const json_value *name = &r->values[at], *value = name + 1;
    if (text_is(r, name, key)) {
      if (found != NULL) *twice = 1;
      found = value;
    }
    at = value->next;
  }
  return found;
}

/* The value of a key that may be missing: `*value` is NULL then. 0 if it stands twice. */
static int optional(const json_reader *r, const json_value *object, const char *key,
                    const json_value **value) {
  int twice = 0;
  *value = find(r, object, key, &twice);
  return !twice || fail(r->error, "the key \"%s\" stands twice in an object", key);
}

static int required(const json_reader *r, const json_value *object, const char *key,
                    const json_value **value) {
  if (!optional(r, object, key, value)) return 0;
  return *value != NULL || fail(r->error, "%s is missing", key);
}

/* A finite number, whatever the locale's decimal point. */
static int read_number(const json_reader *r, const json_value *value, const char *key, double *number) {
  char digits[MAX_NUMBER + 8];
  const size_t length = value->end - value->begin;
  if (value->kind != JSON_NUMBER) return fail(r->error, "%s is not a number", key);
  if (length > MAX_NUMBER)
    return fail(r->error, "%s has a number of %lu characters", key, (unsigned long)length);
  memcpy(digits, r->text + value->begin, length);
  digits[length] = '\0';
  char *point = strchr(digits, '.');
  if (point != NULL) *point = localeconv()->decimal_point[0];
  *number = strtod(digits, NULL);
  return isfinite(*number) || fail(r->error, "%s has a number beyond what a double holds", key);
}

static int required_number(const json_reader *r, const json_value *object, const char *key, double *number) {
  const json_value *value;
  return required(r, object, key, &value) && read_number(r, value, key, number);
}

static int read_whole(const json_reader *r, const json_value *value, const char *key, int low, int high,
                      int *whole) {
  double number;
  if (!read_number(r, value, key, &number)) return 0;
  if (number != floor(number) || number < low || number > high) {
    return fail(r->error, "%s = %g, must be whole and in [%d, %d]", key, number, low, high);
  }
  *whole = (int)number;
  return 1;
}

/* Whether nested arrays have exactly this shape, so that what is then allocated is no more than the text. */
static int has_shape(const json_reader *r, const json_value *value, const int *shape, int dimensions) {
  if (dimensions == 0) return value->kind == JSON_NUMBER;
  if (value->kind != JSON_ARRAY || value->count != (size_t)shape[0]) return 0;
  size_t at = (size_t)(value - r->values) + 1;
  for (int i = 0; i < shape[0]; ++i) {
    if (!has_shape(r, &r->values[at], shape + 1, dimensions - 1)) return 0;
    at = r->values[at].next;
  }
  return 1;
}

/* Numbers of exactly this shape in new memory, of which the caller is the owner; NULL with a message. */
static double *read_numbers(const json_reader *r, const json_value *object, const char *key, const int *shape,
                            int dimensions) {
  const json_value *value;
  if (!required(r, object, key, &value)) return NULL;
  if (!has_shape(r, value, shape, dimensions)) {
    fail(r->error, "%s is not numbers of the table's shape", key);
    return NULL;
  }
  size_t count = 1;
  for (int i = 0; i < dimensions; ++i) count *= (size_t)shape[i];
  double *numbers = malloc((count ? count : 1) * sizeof *numbers);
  if (numbers == NULL) {
    fail(r->error, "no memory for %lu numbers of %s", (unsigned long)count, key);
    return NULL;
  }
  size_t filled = 0;
  for (size_t at = (size_t)(value - r->values); at < value->next; ++at) {
    if (r->values[at].kind != JSON_NUMBER) continue;
    if (!read_number(r, &r->values[at], key, &numbers[filled++])) {
      free(numbers);
      return NULL;
    }
  }
  return numbers;
}

/* ---- Solver files ---- */

struct gas_solver {
  gas_prediction prediction;
  double guidance;
  int timesteps;
  double *alphas_cumprod;
  int count;
  gas_table *tables;
};

static void free_table(gas_table *table) {
  const double *const parts[] = {table->t,          table->alpha,      table->sigma, table->t_eval,
                                 table->alpha_eval, table->sigma_eval, table->a,     table->b,
                                 table->rotation,   table->edges,      table->gain,  table->offset};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) free((void *)parts[i]);
}

void gas_solver_free(gas_solver *solver) {
  if (solver == NULL) return;
  for (int i = 0; i < solver->count; ++i) free_table(&solver->tables[i]);
  free(solver->tables);
  free(solver->alphas_cumprod);
  free(solver);
}

static int check_rotation(const json_reader *r, const gas_table *table) {
  const int c = table->channels;
  for (int i = 0; i < c; ++i) {
    for (int j = 0; j <= i; ++j) {
      double product = 0;
      for (int k = 0; k < c; ++k) product += table->rotation[i * c + k] * table->rotation[j * c + k];
      if (!(fabs(product - (i == j)) <= 1e-6)) {
        return fail(r->error, "basis: the rotation misses orthogonality by more than 1e-6");
      }
    }
  }
  return 1;
}

static int check_edges(const json_reader *r, const gas_table *table) {
  int ascending = table->edges[0] == 0 && table->edges[table->bands] >= sqrt(2.0) - 1e-12;
  for (int k = 0; k < table->bands; ++k) ascending = ascending && table->edges[k] < table->edges[k + 1];
  return ascending || fail(r->error, "basis: edges must ascend from 0 to at least sqrt(2)");
}

static int read_shape(const json_reader *r, const json_value *basis, gas_table *table) {
  const json_value *shape;
  int *const sides[] = {&table->channels, &table->height, &table->width};
  const int three[] = {3};
  if (!required(r, basis, "shape", &shape)) return 0;
  if (!has_shape(r, shape, three, 1)) return fail(r->error, "basis: shape is not [C,H,W]");
  for (int i = 0; i < 3; ++i) {
    if (!read_whole(r, shape + 1 + i, "basis: a side of shape", 1, MAX_SIDE, sides[i])) return 0;
  }
  return (size_t)table->channels * (size_t)table->height * (size_t)table->width <= MAX_ENTRIES ||
         fail(r->error, "basis: states of shape [%d,%d,%d] have more than %lu entries", table->channels,
              table->height, table->width, (unsigned long)MAX_ENTRIES);
}

static int read_basis(const json_reader *r, const json_value *basis, gas_table *table) {
  const json_value *edges;
  if (!read_shape(r, basis, table) || !required(r, basis, "edges", &edges)) return 0;
  if (edges->kind != JSON_ARRAY || edges->count < 2 || edges->count > 1000001) {
    return fail(r->error, "basis: edges is not a list of at least two numbers");
  }
  table->bands = (int)edges->count - 1;
  const int square[] = {table->channels, table->channels}, list[] = {table->bands + 1};
  table->rotation = read_numbers(r, basis, "rotation", square, 2);
  table->edges = table->rotation != NULL ? read_numbers(r, basis, "edges", list, 1) : NULL;
  return table->edges != NULL && check_rotation(r, table) && check_edges(r, table);
}

static int read_start(const json_reader *r, const json_value *start, gas_table *table) {
  const int shape[] = {table->channels, table->height, table->width};
  if (table->rotation == NULL) return fail(r->error, "a start without a basis");
  table->gain = read_numbers(r, start, "gain", shape, 3);
  table->offset = table->gain != NULL ? read_numbers(r, start, "offset", shape, 3) : NULL;
  return table->offset != NULL;
}

static int read_levels(const json_reader *r, const json_value *entry, gas_table *table) {
  const int states[] = {table->nfe + 1}, evaluations[] = {table->nfe};
  if ((table->t = read_numbers(r, entry, "t", states, 1)) == NULL) return 0;
  for (int n = 0; n < table->nfe; ++n) {
    if (!(table->t[n + 1] < table->t[n])) return fail(r->error, "t must descend");
  }
  return (table->alpha = read_numbers(r, entry, "alpha", evaluations, 1)) != NULL &&
         (table->sigma = read_numbers(r, entry, "sigma", evaluations, 1)) != NULL &&
         (table->t_eval = read_numbers(r, entry, "t_eval", evaluations, 1)) != NULL &&
         (table->alpha_eval = read_numbers(r, entry, "alpha_eval", evaluations, 1)) != NULL &&
         (table->sigma_eval = read_numbers(r, entry, "sigma_eval", evaluations, 1)) != NULL;
}

/* Numbers for each pair of a row and a state. */
static size_t coefficients(const gas_table *table) {
  return table->spectral ? (size_t)table->channels * (size_t)table->bands : 1;
}

static const double *coefficient(const gas_table *table, const double *matrix, int n, int j) {
  return matrix + ((size_t)n * (size_t)table->nfe + (size_t)j) * coefficients(table);
}

/* Whether row n uses state or prediction j. */
static int uses(const gas_table *table, const double *matrix, int n, int j) {
  const double *numbers = coefficient(table, matrix, n, j);
  for (size_t i = 0; i < coefficients(table); ++i) {
    if (numbers[i] != 0) return 1;
  }
  return 0;
}

static const double *read_matrix(const json_reader *r, const json_value *entry, const char *key,
                                 const gas_table *table) {
  const int shape[] = {table->nfe, table->nfe, table->channels, table->bands};
  double *matrix = read_numbers(r, entry, key, shape, table->spectral ? 4 : 2);
  if (matrix == NULL) return NULL;
  for (int n = 0; n < table->nfe; ++n) {
    for (int j = n + 1; j < table->nfe; ++j) {
      if (!uses(table, matrix, n, j)) continue;
      fail(r->error, "%s: row %d uses a later state or prediction, must be 0 above the diagonal", key, n);
      free(matrix);
      return NULL;
    }
  }
  return matrix;
}

/* Four dimensions of A are the sign of a spectral table. */
static int is_spectral(const json_reader *r, const json_value *a) {
  const json_value *value = a;
  for (int i = 0; i < 2 && value->kind == JSON_ARRAY && value->count > 0; ++i) ++value;
  return value < r->values + r->count && value->kind == JSON_ARRAY;
}

static int read_table(const json_reader *r, const json_value *entry, gas_table *table) {
  const json_value *value, *basis, *start, *a;
  if (entry->kind != JSON_OBJECT) return fail(r->error, "a table is not an object");
  if (!required(r, entry, "nfe", &value) || !read_whole(r, value, "nfe", 1, MAX_NFE, &table->nfe)) return 0;
  if (!required_number(r, entry, "prior_std", &table->prior_std)) return 0;
  if (!(table->prior_std > 0)) return fail(r->error, "prior_std = %g, must be positive", table->prior_std);
  if (!optional(r, entry, "basis", &basis) || !optional(r, entry, "start", &start)) return 0;
  if (basis != NULL && !read_basis(r, basis, table)) return 0;
  if (start != NULL && !read_start(r, start, table)) return 0;
  if (!read_levels(r, entry, table) || !required(r, entry, "A", &a)) return 0;
  table->spectral = basis != NULL && is_spectral(r, a);
  return (table->a = read_matrix(r, entry, "A", table)) != NULL &&
         (table->b = read_matrix(r, entry, "B", table)) != NULL;
}

static int read_tables(const json_reader *r, const json_value *root, gas_solver *solver) {
  const json_value *list;
  if (!required(r, root, "tables", &list)) return 0;
  if (list->kind != JSON_ARRAY || list->count == 0 || list->count > MAX_NFE) {
    return fail(r->error, "tables is not a list of at least one");
  }
  solver->tables = calloc(list->count, sizeof *solver->tables);
  if (solver->tables == NULL) return fail(r->error, "no memory for %lu tables", (unsigned long)list->count);
  const json_value *entry = list + 1;
  for (size_t i = 0; i < list->count; ++i) {
    gas_table *table = &solver->tables[solver->count++];
    if (!read_table(r, entry, table)) return 0;
    for (int k = 0; k + 1 < solver->count; ++k) {
      if (solver->tables[k].nfe == table->nfe) return fail(r->error, "two tables for nfe = %d", table->nfe);
    }
    entry = &r->values[entry->next];
  }
  return 1;
}

static int read_schedule(const json_reader *r, const json_value *schedule, gas_solver *solver) {
  const json_value *kind, *list;
  if (!required(r, schedule, "kind", &kind)) return 0;
  if (!text_is(r, kind, "discrete")) return 1;
  if (!required(r, schedule, "alphas_cumprod", &list)) return 0;
  if (list->kind != JSON_ARRAY || list->count < 2 || list->count > 1000000) {
    return fail(r->error, "alphas_cumprod is not a list of 2 to 1000000 numbers");
  }
  const int shape[] = {(int)list->count};
  solver->timesteps = shape[0];
  solver->alphas_cumprod = read_numbers(r, schedule, "alphas_cumprod", shape, 1);
  if (solver->alphas_cumprod == NULL) return 0;
  for (int k = 0; k < shape[0]; ++k) {
    const double above = k == 0 ? 1 : solver->alphas_cumprod[k - 1];
    if (!(solver->alphas_cumprod[k] > 0 && solver->alphas_cumprod[k] < above)) {
      return fail(r->error, "alphas_cumprod[%d] = %g, must be in (0, %g)", k, solver->alphas_cumprod[k],
                  above);
    }
  }
  return 1;
}

static int read_prediction(const json_reader *r, const json_value *root, gas_solver *solver) {
  static const char *const names[] = {"noise", "data", "velocity", "flow"};
  const json_value *value;
  if (!required(r, root, "prediction", &value)) return 0;
  for (int i = 0; i < 4; ++i) {
    if (!text_is(r, value, names[i])) continue;
    solver->prediction = (gas_prediction)i;
    return 1;
  }
  return fail(r->error, "prediction must be one of noise, data, velocity, flow");
}

static int read_solver(const json_reader *r, gas_solver *solver) {
  const json_value *root = r->values, *value;
  int format;
  if (!optional(r, root, "gas_solver", &value)) return 0;
  if (value == NULL) return fail(r->error, "no entry gas_solver, so not a solver file");
  return read_whole(r, value, "format gas_solver", 1, 2, &format) && read_prediction(r, root, solver) &&
         required_number(r, root, "guidance", &solver->guidance) && required(r, root, "schedule", &value) &&
         read_schedule(r, value, solver) && read_tables(r, root, solver);
}

gas_solver *gas_solver_parse(const char *text, size_t length, gas_error *error) {
  json_reader reader = {text, length, 0, NULL, 0, 0, error};
  gas_solver *solver = calloc(1, sizeof *solver);
  int ok = solver != NULL || fail(error, "no memory");
  if (ok && length > MAX_BYTES) ok = fail(error, "more than %lu bytes", (unsigned long)MAX_BYTES);
  ok = ok && scan_document(&reader) && read_solver(&reader, solver);
  free(reader.values);
  if (ok) return solver;
  gas_solver_free(solver);
  return NULL;
}

/* The file's bytes in new memory; NULL with a message. */
static char *read_file(const char *path, size_t *length, gas_error *error) {
  FILE *file = fopen(path, "rb");
  char *text = NULL;
  size_t capacity = 0;
  *length = 0;
  if (file == NULL) {
    fail(error, "%s: cannot be opened", path);
    return NULL;
  }
  while (*length <= MAX_BYTES) {
    if (*length == capacity) {
      capacity = capacity * 2 + 65536;
      char *more = realloc(text, capacity);
      if (more == NULL) break;
      text = more;
    }
    const size_t got = fread(text + *length, 1, capacity - *length, file);
    *length += got;
    if (got > 0) continue;
    if (ferror(file)) break;
    fclose(file);
    return text;
  }
  fail(error, "%s: cannot be read, or has more than %lu bytes", path, (unsigned long)MAX_BYTES);
  fclose(file);
  free(text);
  return NULL;
}

gas_solver *gas_solver_read(const char *path, gas_error *error) {
  size_t length;
  gas_error inner;
  char *text = read_file(path, &length, error);
  if (text == NULL) return NULL;
  gas_solver *solver = gas_solver_parse(text, length, &inner);
  free(text);
  if (solver == NULL) fail(error, "%.100s: %.150s", path, inner.text);
  return solver;
}

gas_prediction gas_solver_prediction(const gas_solver *solver) { return solver->prediction; }
double gas_solver_guidance(const gas_solver *solver) { return solver->guidance; }
int gas_solver_timesteps(const gas_solver *solver) { return solver->timesteps; }
const double *gas_solver_alphas_cumprod(const gas_solver *solver) { return solver->alphas_cumprod; }
int gas_solver_count(const gas_solver *solver) { return solver->count; }
const gas_table *gas_solver_at(const gas_solver *solver, int index) { return &solver->tables[index]; }

const gas_table *gas_solver_table(const gas_solver *solver, int nfe, gas_error *error) {
  if (nfe == 0 && solver->count == 1) return solver->tables;
  for (int i = 0; i < solver->count; ++i) {
    if (solver->tables[i].nfe == nfe) return &solver->tables[i];
  }
  fail(error, "no table for nfe = %d among %d tables, the first of which has %d", nfe, solver->count,
       solver->tables[0].nfe);
  return NULL;
}

/* ---- The transform of spectral tables: channels rotated, then the orthonormal DCT-II of each ---- */

typedef struct {
  int channels, height, width;
  const double *rotation;
  double *rows, *columns; /* [height][height] and [width][width], row f is frequency f */
  double *one, *two;      /* [channels][height][width] each */
} transform;

static void free_transform(transform *t) {
  free(t->rows);
  free(t->columns);
  free(t->one);
  free(t->two);
}

static double *dct_matrix(int n) {
  const double pi = 3.14159265358979323846;
  double *matrix = malloc((size_t)n * (size_t)n * sizeof *matrix);
  if (matrix == NULL) return NULL;
  for (int f = 0; f < n; ++f) {
    for (int i = 0; i < n; ++i) {
      matrix[(size_t)f * (size_t)n + (size_t)i] =
          sqrt((f == 0 ? 1.0 : 2.0) / n) * cos(pi / (2.0 * n) * f * (2 * i + 1));
    }
  }
  return matrix;
}

static int make_transform(const gas_table *table, transform *t, gas_error *error) {
  const size_t size = (size_t)table->channels * (size_t)table->height * (size_t)table->width;
  t->channels = table->channels;
  t->height = table->height;
  t->width = table->width;
  t->rotation = table->rotation;
  t->rows = dct_matrix(table->height);
  t->columns = dct_matrix(table->width);
  t->one = malloc(size * sizeof *t->one);
  t->two = malloc(size * sizeof *t->two);
  if (t->rows != NULL && t->columns != NULL && t->one != NULL && t->two != NULL) return 1;
  return fail(error, "no memory for the transform of states [%d,%d,%d]", t->channels, t->height, t->width);
}

/* to_c = sum_d rotation[c][d] from_d, or with its transpose. */
static void rotate(const transform *t, const double *from, double *to, int transposed) {
  const size_t plane = (size_t)t->height * (size_t)t->width;
  for (int c = 0; c < t->channels; ++c) {
    double *row = to + (size_t)c * plane;
    for (size_t i = 0; i < plane; ++i) row[i] = 0;
    for (int d = 0; d < t->channels; ++d) {
      const double weight = t->rotation[transposed ? d * t->channels + c : c * t->channels + d];
      for (size_t i = 0; i < plane; ++i) row[i] += weight * from[(size_t)d * plane + i];
    }
  }
}

/* Along the height: to[f][x] = sum_y rows[f][y] from[y][x], or with the transpose. */
static void along_height(const transform *t, const double *from, double *to, int transposed) {
  const size_t h = (size_t)t->height, w = (size_t)t->width;
  for (size_t f = 0; f < h; ++f) {
    for (size_t x = 0; x < w; ++x) to[f * w + x] = 0;
    for (size_t y = 0; y < h; ++y) {
      const double weight = t->rows[transposed ? y * h + f : f * h + y];
      for (size_t x = 0; x < w; ++x) to[f * w + x] += weight * from[y * w + x];
    }
  }
}

/* Along the width: to[y][f] = sum_x columns[f][x] from[y][x], or with the transpose. */
static void along_width(const transform *t, const double *from, double *to, int transposed) {
  const size_t h = (size_t)t->height, w = (size_t)t->width;
  for (size_t y = 0; y < h; ++y) {
    for (size_t f = 0; f < w; ++f) {
      double sum = 0;
      for (size_t x = 0; x < w; ++x) sum += t->columns[transposed ? x * w + f : f * w + x] * from[y * w + x];
      to[y * w + f] = sum;
    }
  }
}

static void along_both(const transform *t, const double *from, double *to, double *between, int transposed) {
  const size_t plane = (size_t)t->height * (size_t)t->width;
  for (int c = 0; c < t->channels; ++c) {
    along_height(t, from + (size_t)c * plane, between, transposed);
    along_width(t, between, to + (size_t)c * plane, transposed);
  }
}

static void forward(const transform *t, const float *state, float *spectrum) {
  const size_t size = (size_t)t->channels * (size_t)t->height * (size_t)t->width;
  for (size_t i = 0; i < size; ++i) t->one[i] = state[i];
  rotate(t, t->one, t->two, 0);
  along_both(t, t->two, t->two, t->one, 0);
  for (size_t i = 0; i < size; ++i) spectrum[i] = (float)t->two[i];
}

static void inverse(const transform *t, const float *spectrum, float *state) {
  const size_t size = (size_t)t->channels * (size_t)t->height * (size_t)t->width;
  for (size_t i = 0; i < size; ++i) t->two[i] = spectrum[i];
  along_both(t, t->two, t->two, t->one, 1);
  rotate(t, t->two, t->one, 1);
  for (size_t i = 0; i < size; ++i) state[i] = (float)t->one[i];
}

/* ---- A run ---- */

typedef struct {
  const gas_table *table;
  size_t batch, size; /* states, and floats of each */
  transform basis;
  int *bands;           /* [height][width], the band of each frequency, of spectral tables */
  float **x, **m;       /* [nfe] states and predictions that later rows read, or their spectra */
  int *last_x, *last_m; /* [nfe] the last row that reads each; -1 for none */
  float *state, *output;
  double *sum; /* [size] */
} run;

static float *new_states(const run *r) { return malloc(r->batch * r->size * sizeof(float)); }

static void free_run(run *r) {
  for (int n = 0; n < r->table->nfe; ++n) {
    if (r->x != NULL) free(r->x[n]);
    if (r->m != NULL) free(r->m[n]);
  }
  free(r->x);
  free(r->m);
  free(r->last_x);
  free(r->last_m);
  free(r->state);
  free(r->output);
  free(r->sum);
  free(r->bands);
  free_transform(&r->basis);
}

/* [nfe] the last row that reads each state or prediction; -1 for none. */
static int *last_uses(const gas_table *table, const double *matrix) {
  int *last = malloc((size_t)table->nfe * sizeof *last);
  for (int j = 0; last != NULL && j < table->nfe; ++j) {
    last[j] = -1;
    for (int n = j; n < table->nfe; ++n) {
      if (uses(table, matrix, n, j)) last[j] = n;
    }
  }
  return last;
}

static int *band_of_frequency(const gas_table *table) {
  int *bands = malloc((size_t)table->height * (size_t)table->width * sizeof *bands);
  if (bands == NULL) return NULL;
  for (int y = 0; y < table->height; ++y) {
    for (int x = 0; x < table->width; ++x) {
      const double fy = (double)y / table->height, fx = (double)x / table->width,
                   radius = sqrt(fy * fy + fx * fx);
      int band = 0;
      while (band + 1 < table->bands && radius >= table->edges[band + 1]) ++band;
      bands[(size_t)y * (size_t)table->width + (size_t)x] = band;
    }
  }
  return bands;
}

static int begin_run(run *r, gas_error *error) {
  const gas_table *table = r->table;
  if (r->batch == 0 || r->size == 0 || r->size > (size_t)-1 / r->batch / sizeof(double)) {
    return fail(error, "%lu states of %lu floats", (unsigned long)r->batch, (unsigned long)r->size);
  }
  if (table->rotation != NULL) {
    const size_t size = (size_t)table->channels * (size_t)table->height * (size_t)table->width;
    if (r->size != size) {
      return fail(error, "a spectral table for states [%d,%d,%d], not of %lu floats", table->channels,
                  table->height, table->width, (unsigned long)r->size);
    }
    if (!make_transform(table, &r->basis, error)) return 0;
    r->bands = band_of_frequency(table);
  }
  r->x = calloc((size_t)table->nfe, sizeof *r->x);
  r->m = calloc((size_t)table->nfe, sizeof *r->m);
  r->last_x = last_uses(table, table->a);
  r->last_m = last_uses(table, table->b);
  r->state = new_states(r);
  r->output = new_states(r);
  r->sum = malloc(r->size * sizeof *r->sum);
  if (r->x != NULL && r->m != NULL && r->last_x != NULL && r->last_m != NULL && r->state != NULL &&
      r->output != NULL && r->sum != NULL && (table->rotation == NULL || r->bands != NULL)) {
    return 1;
  }
  return fail(error, "no memory for %lu states of %lu floats", (unsigned long)r->batch,
              (unsigned long)r->size);
}

static void first_state(run *r, const float *noise) {
  const gas_table *table = r->table;
  for (size_t i = 0; i < r->batch * r->size; ++i) r->state[i] = (float)(table->prior_std * noise[i]);
  if (table->gain == NULL) return;
  for (size_t b = 0; b < r->batch; ++b) {
    float *state = r->state + b * r->size;
    forward(&r->basis, state, state);
    for (size_t i = 0; i < r->size; ++i) state[i] = (float)(table->gain[i] * state[i] + table->offset[i]);
    inverse(&r->basis, state, state);
  }
}

/* m = w_x x + w_F F, from what the network gives at its level to the data prediction at the state's
 * (docs/math/ step_table.md (3)). */
static int prediction_weights(gas_prediction prediction, const gas_table *table, int n, double *w_x,
                              double *w_f, gas_error *error) {
  const double alpha = table->alpha[n], sigma = table->sigma[n], a = table->alpha_eval[n],
               s = table->sigma_eval[n];
  const double ratio = a / alpha, difference = (s - sigma) / alpha;
  *w_x = *w_f = 0;
  switch (prediction) {
    case GAS_NOISE: *w_x = 1 / alpha, *w_f = -sigma / alpha; break;
    case GAS_DATA: *w_x = difference / s, *w_f = sigma / s * ratio; break;
    case GAS_VELOCITY:
      *w_x = (a * ratio + s * difference) / (a * a + s * s), *w_f = -sigma * ratio / (a * a + s * s);
      break;
    case GAS_FLOW: *w_x = (ratio + difference) / (a + s), *w_f = -sigma * ratio / (a + s); break;
  }
  return (isfinite(*w_x) && isfinite(*w_f)) ||
         fail(error, "evaluation %d with alpha = %g, and sigma = %g for the network, must not be 0", n, alpha,
              s);
}

/* r->output becomes the data prediction. */
static int data_prediction(run *r, const gas_solver *solver, int n, gas_network network, void *user,
                           gas_error *error) {
  const gas_table *table = r->table;
  double w_x, w_f;
  if (!prediction_weights(solver->prediction, table, n, &w_x, &w_f, error)) return 0;
  if (network(user, n, r->state, table->t_eval[n], table->alpha_eval[n], table->sigma_eval[n], r->output) !=
      0) {
    return fail(error, "the network stopped the run at evaluation %d", n);
  }
  for (size_t i = 0; i < r->batch * r->size; ++i)
    r->output[i] = (float)(w_x * r->state[i] + w_f * r->output[i]);
  return 1;
}

/* A copy of the states, or their spectra, if a row reads them. */
static int keep(run *r, const int *last, int n, const float *states, float **kept, gas_error *error) {
  if (last[n] < 0) return 1;
  kept[n] = new_states(r);
  if (kept[n] == NULL) return fail(error, "no memory for the states of evaluation %d", n);
  for (size_t b = 0; b < r->batch; ++b) {
    const float *from = states + b * r->size;
    float *to = kept[n] + b * r->size;
    if (r->table->spectral) {
      forward(&r->basis, from, to);
    } else {
      memcpy(to, from, r->size * sizeof *to);
    }
  }
  return 1;
}

static void add(run *r, const double *numbers, const float *values) {
  const gas_table *table = r->table;
  if (!table->spectral) {
    for (size_t i = 0; i < r->size; ++i) r->sum[i] += numbers[0] * values[i];
    return;
  }
  const size_t plane = (size_t)table->height * (size_t)table->width;
  for (int c = 0; c < table->channels; ++c) {
    const double *of_band = numbers + (size_t)c * (size_t)table->bands;
    for (size_t i = 0; i < plane; ++i) {
      const size_t at = (size_t)c * plane + i;
      r->sum[at] += of_band[r->bands[i]] * values[at];
    }
  }
}

/* r->state becomes x_{n+1}. */
static void next_state(run *r, int n) {
  const gas_table *table = r->table;
  for (size_t b = 0; b < r->batch; ++b) {
    float *state = r->state + b * r->size;
    for (size_t i = 0; i < r->size; ++i) r->sum[i] = 0;
    for (int j = 0; j <= n; ++j) {
      if (uses(table, table->a, n, j)) add(r, coefficient(table, table->a, n, j), r->x[j] + b * r->size);
      if (uses(table, table->b, n, j)) add(r, coefficient(table, table->b, n, j), r->m[j] + b * r->size);
    }
    for (size_t i = 0; i < r->size; ++i) state[i] = (float)r->sum[i];
    if (table->spectral) inverse(&r->basis, state, state);
  }
}

static void forget(run *r, int n) {
  for (int j = 0; j <= n; ++j) {
    if (r->x[j] != NULL && r->last_x[j] <= n) {
      free(r->x[j]);
      r->x[j] = NULL;
    }
    if (r->m[j] != NULL && r->last_m[j] <= n) {
      free(r->m[j]);
      r->m[j] = NULL;
    }
  }
}

int gas_sample(const gas_solver *solver, const gas_table *table, size_t batch, size_t size,
               const float *noise, float *sample, gas_network network, void *user, gas_error *error) {
  run r;
  memset(&r, 0, sizeof r);
  r.table = table;
  r.batch = batch;
  r.size = size;
  int ok = begin_run(&r, error);
  if (ok) first_state(&r, noise);
  for (int n = 0; ok && n < table->nfe; ++n) {
    ok = data_prediction(&r, solver, n, network, user, error) && keep(&r, r.last_x, n, r.state, r.x, error) &&
         keep(&r, r.last_m, n, r.output, r.m, error);
    if (!ok) break;
    next_state(&r, n);
    forget(&r, n);
  }
  if (ok) memcpy(sample, r.state, batch * size * sizeof *sample);
  free_run(&r);
  return ok ? 0 : 1;
}
