#include "onnx_graph.h"

#include "onnx.pb-c.h"
#include "pneumo/base/memory.h"
#include "pneumo/io/file.h"

#include <endian.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { IR_VERSION = 7, OPERATOR_SET = 13, FLOAT_TYPE = 1, INT64_TYPE = 7, DIMS = 4 };

/* A block of memory that lives as long as the graph. */
typedef struct block {
    struct block *next;
    void *memory;
} block;

struct pd_onnx {
    pd_status status; /* of the first failure */
    char error[512];
    block *blocks;
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto operators;
    Onnx__OperatorSetIdProto *operator_list[1];
};

/* --- Memory --- */

static void keep_error(pd_onnx *onnx, pd_status status)
{
    if (onnx->status != PD_OK)
        return;
    onnx->status = status;
    strncpy(onnx->error, pd_error_message(), sizeof onnx->error - 1);
}

/* Zeroed memory that lives as long as the graph; NULL after a failure. */
static void *keep(pd_onnx *onnx, size_t count, size_t size)
{
    block *made = NULL;
    void *memory = NULL;
    if (onnx->status != PD_OK)
        return NULL;
    pd_status status = pd_alloc(&made, 1, sizeof *made);
    if (status == PD_OK)
        status = pd_alloc(&memory, count, size);
    if (status != PD_OK) {
        free(made);
        keep_error(onnx, status);
        return NULL;
    }
    *made = (block){.next = onnx->blocks, .memory = memory};
    onnx->blocks = made;
    return memory;
}

static char *keep_text(pd_onnx *onnx, const char *text)
{
    char *kept = keep(onnx, strlen(text) + 1, 1);
    if (kept != NULL)
        memcpy(kept, text, strlen(text) + 1);
    return kept;
}

/* Appends `item` to the list of pointers (*list)[*count], which grows by doubling. The list's
 * address is a pointer to any kind of pointers. */
static void append(pd_onnx *onnx, size_t *count, void *list, void *item)
{
    void **items;
    memcpy(&items, list, sizeof items);
    if ((*count & (*count - 1)) == 0) { /* full: 0 or a power of two */
        void **grown = keep(onnx, *count == 0 ? 1 : 2 * *count, sizeof *grown);
        if (grown == NULL)
            return;
        if (*count > 0)
            memcpy(grown, items, *count * sizeof *grown);
        items = grown;
        memcpy(list, &items, sizeof items);
    }
    if (onnx->status == PD_OK)
        items[(*count)++] = item;
}

/* --- The graph --- */

pd_status pd_onnx_create(pd_onnx **out, const char *name)
{
    pd_status status = pd_alloc(out, 1, sizeof **out);
    if (status != PD_OK)
        return status;
    pd_onnx *onnx = *out;
    onnx__model_proto__init(&onnx->model);
    onnx__graph_proto__init(&onnx->graph);
    onnx__operator_set_id_proto__init(&onnx->operators);
    onnx->graph.name = keep_text(onnx, name);
    onnx->operators.domain = keep_text(onnx, "");
    onnx->operators.has_version = true;
    onnx->operators.version = OPERATOR_SET;
    onnx->operator_list[0] = &onnx->operators;
    onnx->model.has_ir_version = true;
    onnx->model.ir_version = IR_VERSION;
    onnx->model.producer_name = keep_text(onnx, "pneumo-dist");
    onnx->model.producer_version = keep_text(onnx, PNEUMO_VERSION);
    onnx->model.graph = &onnx->graph;
    onnx->model.n_opset_import = 1;
    onnx->model.opset_import = onnx->operator_list;
    return PD_OK;
}

void pd_onnx_destroy(pd_onnx **onnx)
{
    if (*onnx == NULL)
        return;
    for (block *b = (*onnx)->blocks, *next; b != NULL; b = next) {
        next = b->next;
        free(b->memory);
        free(b);
    }
    free(*onnx);
    *onnx = NULL;
}

const char *pd_onnx_name(pd_onnx *onnx, const char *layer, const char *what)
{
    size_t size = strlen(layer) + 1 + strlen(what) + 1;
    char *name = keep(onnx, size, 1);
    if (name == NULL)
        return "";
    strcpy(name, layer);
    strcat(name, "/");
    strcat(name, what);
    return name;
}

static void add_dimension(pd_onnx *onnx, Onnx__TensorShapeProto *shape, int value)
{
    Onnx__TensorShapeProto__Dimension *dimension = keep(onnx, 1, sizeof *dimension);
    if (dimension == NULL)
        return;
    onnx__tensor_shape_proto__dimension__init(dimension);
    if (value < 0) {
        dimension->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        dimension->dim_param = keep_text(onnx, "N");
    } else {
        dimension->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dimension->dim_value = value;
    }
    append(onnx, &shape->n_dim, &shape->dim, dimension);
}

static Onnx__ValueInfoProto *make_value(pd_onnx *onnx, const char *name, const int *dims, int rank)
{
    Onnx__ValueInfoProto *value = keep(onnx, 1, sizeof *value);
    Onnx__TypeProto *type = keep(onnx, 1, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = keep(onnx, 1, sizeof *tensor);
    Onnx__TensorShapeProto *shape = keep(onnx, 1, sizeof *shape);
    if (shape == NULL)
        return NULL;
    onnx__value_info_proto__init(value);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    value->name = keep_text(onnx, name);
    value->type = type;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = FLOAT_TYPE;
    tensor->shape = shape;
    add_dimension(onnx, shape, -1);
    for (int i = 0; i < rank; i++)
        add_dimension(onnx, shape, dims[i]);
    return value;
}

const char *pd_onnx_input(pd_onnx *onnx, const char *name, const int *dims, int rank)
{
    Onnx__ValueInfoProto *value = make_value(onnx, name, dims, rank);
    append(onnx, &onnx->graph.n_input, &onnx->graph.input, value);
    return name;
}

void pd_onnx_output(pd_onnx *onnx, const char *name, const int *dims, int rank)
{
    Onnx__ValueInfoProto *value = make_value(onnx, name, dims, rank);
    append(onnx, &onnx->graph.n_output, &onnx->graph.output, value);
}

/* Adds a constant with zeroed items of `size` bytes each; NULL after a failure. */
static void *add_constant(pd_onnx *onnx, const char *name, int type, size_t size, const int *dims,
                          int rank)
{
    size_t items = 1;
    Onnx__TensorProto *tensor = keep(onnx, 1, sizeof *tensor);
    int64_t *kept = keep(onnx, DIMS, sizeof *kept);
    if (kept == NULL)
        return NULL;
    for (int i = 0; i < rank; i++) {
        kept[i] = dims[i];
        items *= (size_t)dims[i];
    }
    onnx__tensor_proto__init(tensor);
    tensor->name = keep_text(onnx, name);
    tensor->n_dims = (size_t)rank;
    tensor->dims = kept;
    tensor->has_data_type = true;
    tensor->data_type = type;
    tensor->has_raw_data = true;
    tensor->raw_data.len = items * size;
    tensor->raw_data.data = keep(onnx, items, size);
    append(onnx, &onnx->graph.n_initializer, &onnx->graph.initializer, tensor);
    return onnx->status == PD_OK ? tensor->raw_data.data : NULL;
}

float *pd_onnx_constant(pd_onnx *onnx, const char *name, const int *dims, int rank)
{
    return add_constant(onnx, name, FLOAT_TYPE, sizeof(float), dims, rank);
}

const char *pd_onnx_integers(pd_onnx *onnx, const char *name, const int *values, int count)
{
    uint64_t *memory = add_constant(onnx, name, INT64_TYPE, sizeof *memory, &count, 1);
    for (int i = 0; i < count && memory != NULL; i++)
        memory[i] = htole64((uint64_t)(int64_t)values[i]);
    return name;
}

const char *pd_onnx_node(pd_onnx *onnx, const char *type, const char *output,
                         const char *const *inputs, int count)
{
    Onnx__NodeProto *node = keep(onnx, 1, sizeof *node);
    if (node == NULL)
        return output;
    onnx__node_proto__init(node);
    node->name = keep_text(onnx, output);
    node->op_type = keep_text(onnx, type);
    for (int i = 0; i < count; i++)
        append(onnx, &node->n_input, &node->input, keep_text(onnx, inputs[i]));
    append(onnx, &node->n_output, &node->output, node->name);
    append(onnx, &onnx->graph.n_node, &onnx->graph.node, node);
    return output;
}

/* Adds an attribute to the last node; NULL after a failure. */
static Onnx__AttributeProto *add_attribute(pd_onnx *onnx, const char *name,
                                           Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *attribute = keep(onnx, 1, sizeof *attribute);
    if (attribute == NULL)
        return NULL;
    Onnx__NodeProto *node = onnx->graph.node[onnx->graph.n_node - 1];
    onnx__attribute_proto__init(attribute);
    attribute->name = keep_text(onnx, name);
    attribute->has_type = true;
    attribute->type = type;
    append(onnx, &node->n_attribute, &node->attribute, attribute);
    return attribute;
}

void pd_onnx_set_int(pd_onnx *onnx, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute =
        add_attribute(onnx, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (attribute == NULL)
        return;
    attribute->has_i = true;
    attribute->i = value;
}

void pd_onnx_set_float(pd_onnx *onnx, const char *name, float value)
{
    Onnx__AttributeProto *attribute =
        add_attribute(onnx, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (attribute == NULL)
        return;
    attribute->has_f = true;
    attribute->f = value;
}

void pd_onnx_set_ints(pd_onnx *onnx, const char *name, const int *values, int count)
{
    Onnx__AttributeProto *attribute =
        add_attribute(onnx, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *kept = keep(onnx, (size_t)count, sizeof *kept);
    if (kept == NULL)
        return;
    for (int i = 0; i < count; i++)
        kept[i] = values[i];
    attribute->n_ints = (size_t)count;
    attribute->ints = kept;
}

/* --- The file --- */

/* The file's numbers are little-endian; integers are already. */
static void order_bytes(pd_onnx *onnx)
{
    for (size_t i = 0; i < onnx->graph.n_initializer; i++) {
        const Onnx__TensorProto *tensor = onnx->graph.initializer[i];
        const ProtobufCBinaryData *data = &tensor->raw_data;
        if (tensor->data_type != FLOAT_TYPE)
            continue;
        uint32_t *words = (uint32_t *)(void *)data->data;
        for (size_t j = 0; j < data->len / sizeof *words; j++)
            words[j] = htole32(words[j]);
    }
}

pd_status pd_onnx_write(pd_onnx *onnx, const char *path)
{
    uint8_t *bytes = NULL;
    if (onnx->status != PD_OK) {
        pd_fail("%s", onnx->error);
        return onnx->status;
    }
    order_bytes(onnx);
    size_t size = onnx__model_proto__get_packed_size(&onnx->model);
    if (size > INT_MAX)
        return pd_fail("%s: cannot write: the model has %zu bytes, but an ONNX file holds at most "
                       "%d; export to another format",
                       path, size, INT_MAX);
    pd_status status = pd_alloc(&bytes, size, 1);
    if (status == PD_OK) {
        onnx__model_proto__pack(&onnx->model, bytes);
        status = pd_file_write(path, bytes, size);
    }
    free(bytes);
    return status;
}
