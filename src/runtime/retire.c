/*
 * Retired objects: freed when no lane's hazard names them.
 *
 * Who retires has unlinked the object, then lists it, sets the attention bit, and scans. A lane that
 * published its hazard before the unlink is seen by the scan, and its holder sees the bit when it frees
 * the lane and scans again; a lane that published later rechecks the link and does not use the object.
 * So the object is freed once, by whoever is last seen using it.
 */
#include "runtime/lane.h"

static bool in_use(struct rdl__device *device, const void *object)
{
    for (uint32_t i = 0; i < device->n_lanes; i++)
        if (rdl__lane_uses(&device->lanes[i], object))
            return true;
    return false;
}

void rdl__retire_scan(struct rdl__device *device)
{
    struct rdl__retired *gone = NULL;
    rdl__lock_acquire(&device->retire.lock);
    struct rdl__retired **at = &device->retire.list;
    while (*at != NULL) {
        struct rdl__retired *retired = *at;
        if (in_use(device, retired->object)) {
            at = &retired->next;
            continue;
        }
        *at = retired->next;
        retired->next = gone;
        gone = retired;
    }
    if (device->retire.list == NULL)
        rdl__device_attend(device, RDL__ATTENTION_RETIRE, false);
    rdl__lock_release(&device->retire.lock);
    while (gone != NULL) {
        struct rdl__retired *next = gone->next;
        gone->free(gone);
        gone = next;
    }
}

void rdl__retire(struct rdl__device *device, struct rdl__retired *retired)
{
    rdl__lock_acquire(&device->retire.lock);
    retired->next = device->retire.list;
    device->retire.list = retired;
    rdl__device_attend(device, RDL__ATTENTION_RETIRE, true);
    rdl__lock_release(&device->retire.lock);
    rdl__retire_scan(device);
}
