-------------------------------- MODULE End ---------------------------------
(* The end of a device: runtime/device.c (drained, take_end, end_device), runtime/memory.c
   (rdl__memory_free, pend, rdl__memory_poll_pending) and the tail of rdl__lane_release (runtime/lane.c).

   The device's lanes are the closer's and its handle is closed. Users still hold blocks and free them,
   each from a thread of its own: straight to the store, into a lane's remote list (the thread looked at
   the attention bits before the device began to close), or with points to pass (pending). A call that
   gave its lane back before still trims. The device ends when the last block has come back; it may be
   opened and closed again as a second life.

   Claims: it ends (Ends: in the last life nothing stays); once a life; never while a thread holds a
   block, a pending list or a segment of it (NoFault).
   Bounds: the constants. Assumed: handle pins as in Handle.tla; all work of the device has run, so a
   pending block's points have passed when somebody looks. Left out: bytes; counters are one number. *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Kinds,   \* how the users free, one thread each: of "store", "remote", "pending"
          Trimmers, Lives, BUG
None == "none"
Freers == [f \in 1..Len(Kinds) |-> Kinds[f]]
AllKinds == <<"store", "remote", "pending">>
TwoPending == <<"pending", "pending">>
TwoStore == <<"store", "store">>
OneRemote == <<"remote">>

(* --algorithm End {
variables
  state = "closing"; life = 1;                \* struct rdl__device: state; the object's lives
  pins = 1; named = TRUE;                     \* its handle: pins; open. One pin is the closer's
  used = Cardinality(DOMAIN Freers);          \* allocations - frees, of all counters
  store = {}; remote = {}; pending = {};      \* where free blocks lie
  pendingBytes = 0; lock = None;              \* struct rdl__memory
  impl = TRUE;                                \* the backend's device lives
  ends = 0; fault = "none";

macro blame(bad, what) { if (bad /\ fault = "none") fault := what; }
macro put(blocks) {
  blame(~impl, "put into a store that has ended");
  store := store \cup blocks;
}

procedure poll()
variables mine = {}; {
P0: await lock = None;                        \* rdl__memory_poll_pending (runtime/memory.c): takes the list
    mine := pending; pending := {};
P1: blame(mine # {} /\ ~impl, "query of a device that has ended"); \* all_passed: backend->query
P2: if (mine # {}) {                          \* rdl__memory_poll_pending: to the store, under one lock
      await lock = None;
      pendingBytes := pendingBytes - Cardinality(mine);
      if (BUG # "splitpend") put(mine);
    };
P3: if (mine # {} /\ BUG = "splitpend") put(mine); \* (mutant: a section of its own)
P4: return;
}

procedure freed()
variables empty = FALSE; {
D0: if (state # "drained") goto D5;           \* rdl__device_freed (runtime/device.c): looks at the state
D1: call poll();                              \* rdl__device_freed: rdl__memory_poll_pending
D2: await lock = None;                        \* take_end (runtime/device.c): looks, under the memory lock
    empty := /\ used = 0 /\ (BUG = "looseend" \/ state = "drained")
             /\ (IF BUG = "privatepend" THEN pending = {} ELSE pendingBytes = 0);
    if (BUG = "looseend") {                   \* (mutant: the state is changed after the look)
D3:   empty := empty /\ state = "drained";
      if (empty) state := "ended";
    } else if (empty) state := "ended";
D4: if (empty) {                              \* end_device (runtime/device.c): trims, resets, closes
      fault := IF fault # "none" THEN fault
               ELSE IF ~impl THEN "ended twice"
               ELSE IF used # 0 THEN "ended while a block is in use"
               ELSE IF life = 1 /\ store # DOMAIN Freers THEN "ended while a block is on its way"
               ELSE "none";
      impl := FALSE; ends := ends + 1;
      store := {};
    };
D5: return;
}

procedure unpin() {
U0: pins := pins - 1;                         \* rdl__handle_unpin (runtime/handle.c)
    if (pins = 0 /\ ~named) {
U1:   store := store \cup remote; remote := {}; \* drained (runtime/device.c): rdl__memory_flush_lane, all lanes
U2:   call poll();                            \* drained: rdl__memory_trim
U3:   state := "drained";                     \* drained: the state
U4:   call freed();                           \* drained: rdl__device_freed
    };
U5: return;
}

fair process (freer \in DOMAIN Freers) {
F0: if (BUG = "countfirst") used := used - 1; \* (mutant: counts before the block is where it belongs)
F1: if (Freers[self] = "store") {             \* rdl__memory_free (runtime/memory.c): settle_block, store_put
      await lock = None; put({self});
    } else if (Freers[self] = "pending") {    \* rdl__memory_free: settle_block, pend
      await lock = None;
      blame(~impl, "put into a store that has ended");
      pending := pending \cup {self}; pendingBytes := pendingBytes + 1;
    } else {
      remote := remote \cup {self};           \* rdl__memory_free: the push to the home lane's remote list,
F2:   if (self \in remote) {                  \* then rdl__memory_is_wanted (closing set it): drain_remote
        remote := remote \ {self};
        put({self});
      };
    };
F3: if (BUG # "countfirst") used := used - 1; \* rdl__memory_free: count_in
F4: if (BUG # "noremotefreed" \/ Freers[self] # "remote") call freed(); \* rdl__memory_free: rdl__device_freed
}

fair process (trimmer \in Trimmers)
variables segment = FALSE; pinned = FALSE; {
T0: if (BUG # "nopin") {                      \* rdl__lane_release (runtime/lane.c): rdl__handle_pin, by the id
      if (~named \/ life # 1) goto T6;        \* that the device had when the lane was given back
      else { pins := pins + 1; pinned := TRUE; };
    };
T1: call poll();                              \* rdl__memory_trim (runtime/memory.c): rdl__memory_poll_pending
T2: await lock = None;                        \* release_segments (runtime/memory.c): detaches one
    segment := impl /\ life = 1 /\ store # {};
T3: blame(segment /\ (~impl \/ life # 1), "segment given to a backend that has ended"); \* release_segments
T5: if (pinned) call unpin();                 \* rdl__lane_release: rdl__handle_unpin
T6: skip;
}

fair process (closer \in {20}) {
C0: named := FALSE;                           \* rdl_device_close (runtime/device.c): rdl__handle_close
C1: call unpin();                             \* rdl_device_close: rdl__handle_unpin
C2: if (life < Lives) {                       \* open_device (runtime/device.c): the object again
      await ends = life;
      impl := TRUE; life := life + 1; used := 1; state := "open";
C3:   state := "closing";                     \* rdl_device_close, of the next life
C4:   state := "drained";                     \* drained, of the next life: a block is in use
C5:   used := used - 1; store := store \cup {99}; \* rdl__memory_free, of the next life
C6:   call freed();                           \* rdl__memory_free: rdl__device_freed
    };
C7: skip;
}
} *)

NoFault == fault = "none"
EndsOnce == ends <= life
AllDone == \A p \in ProcSet : pc[p] = "Done"
Clean == AllDone => state = "ended" /\ ends = Lives /\ used = 0 /\ pending = {} /\ remote = {}
Ends == <>(state = "ended" /\ ends = Lives)
\* Witnesses
NeverEndedByFree == ~\E f \in DOMAIN Freers : pc[f] = "D4" /\ empty[f]
NeverEndedByClose == ~(pc[20] = "D4" /\ empty[20])
NeverEndedByTrim == ~\E t \in Trimmers : pc[t] = "D4" /\ empty[t]
NeverHeldPrivately == ~\E p \in ProcSet : mine[p] # {} /\ state = "drained"
NeverPinnedLate == ~\E t \in Trimmers : pinned[t] /\ ~named
=============================================================================
