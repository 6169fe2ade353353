/*
 * Marks: counted cells for completion times.
 */
#include "base/mem.h"
#include "device/device.h"

void rdl__mark_release(struct rdl__mark *mark)
{
    if (mark != NULL && rdl__sub_acq_rel(&mark->references, 1) == 1)
        rdl__free(mark);
}
