#include "audit.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* Everything that must be the same on all ranks: entry i is tensor i % tensors of the weights or,
 * from i = tensors on, of the optimiser's slots. */
typedef struct pd_replica {
    const pd_network *network;
    pd_optimizer_slot slots[PD_OPTIMIZER_SLOTS_MAX];
    int tensors, entries;
} pd_replica;

/* The values of entry i, or NULL if a slot has none for that tensor. */
static const float *values_of(const pd_replica *replica, int i)
{
    const pd_tensor *tensor = pd_network_tensor(replica->network, i % replica->tensors);
    if (i < replica->tensors)
        return tensor->param->value;
    return pd_optimizer_slot_at(&replica->slots[i / replica->tensors - 1], tensor);
}

static void digest(const pd_replica *replica, uint64_t *digests, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int i = 0; i < replica->entries; i++) {
        const float *values = values_of(replica, i);
        size_t size = pd_network_tensor(replica->network, i % replica->tensors)->size;
        digests[i] = values == NULL ? 0 : XXH3_64bits(values, size * sizeof *values);
    }
}

/* The lowest rank whose word the most ranks have, and their number. */
static int find_reference(const uint64_t *words, int ranks, int *votes)
{
    int reference = 0;
    *votes = 0;
    for (int i = 0; i < ranks && *votes <= ranks / 2; i++) {
        int same = 0;
        for (int j = 0; j < ranks; j++)
            same += words[j] == words[i];
        if (same > *votes) {
            *votes = same;
            reference = i;
        }
    }
    return reference;
}

/* Reports that entry i of this rank differs from that of rank `reference`. */
static pd_status fail_at(const pd_replica *replica, int i, int reference, const char *host,
                         bool majority)
{
    const pd_tensor *tensor = pd_network_tensor(replica->network, i % replica->tensors);
    char what[64] = "weights";
    if (i >= replica->tensors)
        snprintf(what, sizeof what, "values in optimiser slot '%s' of the weights",
                 replica->slots[i / replica->tensors - 1].name);
    return pd_fail(
        "this rank's %s '%s/%s' differ from those of rank %d on %s: faulty memory or arithmetic "
        "on %s",
        what, tensor->layer->name, tensor->param->name, reference, host,
        majority ? "that host, or a processor of another kind: resume without it"
                 : "one of the two, or processors of different kinds; which one is "
                   "unknown: resume on other hosts");
}

pd_status pd_audit(const pd_step *step)
{
    pd_status status = PD_OK;
    pd_comm *comm = step->comm;
    int ranks = pd_comm_size(comm), votes;
    if (ranks == 1)
        return PD_OK;
    pd_replica replica = {.network = step->network,
                          .tensors = pd_network_tensor_count(step->network)};
    replica.entries = replica.tensors * (1 + pd_optimizer_slots(step->optimizer, replica.slots));
    uint64_t own[replica.entries], others[replica.entries];
    const uint64_t *words;
    digest(&replica, own, step->threads);
    PD_TRY(pd_comm_allgather_u64(comm, XXH3_64bits(own, sizeof own), &words));
    int reference = find_reference(words, ranks, &votes);
    if (votes == ranks)
        goto cleanup;

    char host[256];
    snprintf(host, sizeof host, "%s", pd_comm_host(comm));
    memcpy(others, own, sizeof own);
    PD_TRY(pd_comm_broadcast(comm, host, sizeof host, reference));
    PD_TRY(pd_comm_broadcast(comm, others, sizeof others, reference));
    for (int i = 0; i < replica.entries && status == PD_OK; i++)
        if (own[i] != others[i])
            status = fail_at(&replica, i, reference, host, votes > ranks / 2);
    status = pd_comm_agree(comm, status);
cleanup:
    return status;
}
