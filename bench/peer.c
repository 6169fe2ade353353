/*
 * Opening and closing the contexts of a peer; see peer.h.
 */
#include "peer.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

enum rdl_status peer_open(const struct peer_kind *kind, const struct material_plan *plan,
                          const struct material *material, struct peer *out,
                          struct rdl_error *error)
{
    *out = (struct peer){.kind = kind};
    enum rdl_status status = RDL_OK;
    for (unsigned i = 0; i < material->threads && status == RDL_OK; i++) {
        void *context = material_block(kind->context_bytes);
        if (context == NULL) {
            status = cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
            break;
        }
        memset(context, 0, kind->context_bytes);
        out->contexts[i] = context;
        status = kind->open_context(kind, plan, material, i, i > 0 ? out->contexts[0] : NULL,
                                    context, error);
    }
    if (status != RDL_OK)
        peer_close(out);
    return status;
}

void peer_close(struct peer *peer)
{
    /* The first context may own the model that the others use: it goes last. */
    for (size_t i = MATERIAL_MAX_THREADS; i-- > 0;) {
        if (peer->contexts[i] == NULL)
            continue;
        peer->kind->close_context(peer->contexts[i]);
        free(peer->contexts[i]);
    }
    *peer = (struct peer){0};
}
