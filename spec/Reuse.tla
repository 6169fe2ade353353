-------------------------------- MODULE Reuse --------------------------------
(* A block that several streams used: rdl_buffer_record_stream and its points (runtime/buffer.c), the
   pending list (runtime/memory.c: pend, rdl__memory_poll_pending), and a climber that waits for it.

   A user submits work on a buffer in its home stream and in another one, which it records, and frees
   the buffer while that work is queued. Streams run their work in order, on their own. A poller looks
   at the pending list at any time, and a climber wants the block.

   Claims: the block is handed out again only when all work on it has run (NoFault); who waits for it
   gets it, though the list may be in a poller's hands when he looks (Ends, no deadlock).
   Bounds: two streams, one block, the constants. Left out: sizes; the order of waiting (Memory.tla). *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Others,   \* pieces of other work in each stream, before and behind the buffer's
          Polls, BUG
Home == 1
Other == 2
Streams == {Home, Other}

(* --algorithm Reuse {
variables
  tail = [s \in Streams |-> 0]; done = [s \in Streams |-> 0]; \* points submitted, passed
  last = [s \in Streams |-> 0];                \* the newest point that touches the buffer
  recorded = FALSE; early = 0;                 \* struct rdl_buffer: used_by; (mutant: a point at the record)
  pending = FALSE; points = [s \in Streams |-> 0]; store = FALSE; \* the block lies there; its points
  frees = 0; token = FALSE;                    \* struct rdl__memory: frees; the climber's parker
  got = FALSE; fault = "none";

define { Passed(p) == done[Home] >= p[Home] /\ (BUG = "onepoint" \/ done[Other] >= p[Other]) }

macro note() {                                 \* note_free_locked: not what the climber gives back itself
  if (self # 31) { frees := frees + 1; token := TRUE; }
}

procedure poll()
variables mine = FALSE; passed = FALSE; {
P0: mine := pending; pending := FALSE;         \* rdl__memory_poll_pending (runtime/memory.c): takes the list
P1: if (mine) {
      passed := Passed(points);                \* all_passed (runtime/memory.c): backend->query
P2:   if (passed) store := TRUE; else pending := TRUE; \* rdl__memory_poll_pending: to the store, or back
      if (passed \/ BUG # "nonoteback") note();
    };
P3: return;
}

fair process (user \in {11}) {
U0: tail[Home] := tail[Home] + Others + 1;     \* rdl_buffer_fill (runtime/buffer.c), in the home stream
    last[Home] := tail[Home];
U1: recorded := TRUE; early := tail[Other];    \* rdl_buffer_record_stream (runtime/buffer.c)
U2: tail[Other] := tail[Other] + Others + 1;   \* rdl_buffer_copy (runtime/buffer.c), in the other stream
    last[Other] := tail[Other];
U3: points[Other] := IF BUG = "atrecord" THEN early ELSE tail[Other]; \* capture (runtime/buffer.c), at the free
U4: points[Home] := IF BUG = "nohome" THEN 0 ELSE tail[Home]; \* settle_block (runtime/memory.c): the home's tail
U5: pending := TRUE;                           \* pend (runtime/memory.c): under the lock
    note();
}

fair process (stream \in Streams) {
D0: while (~(pc[11] = "Done" /\ done[self] = tail[self])) {
      await done[self] < tail[self] \/ pc[11] = "Done"; \* sim.c, the stream's thread: runs the next
      if (done[self] < tail[self]) done[self] := done[self] + 1;
    };
}

fair process (poller \in {21})
variables i = 0; {
T0: while (i < Polls) { i := i + 1; call poll(); }; \* rdl__memory_trim (runtime/memory.c), of another call
}

fair process (climber \in {31})
variables before = 0; p = [s \in Streams |-> 0]; {
C0: before := frees;                           \* is_first (runtime/memory.c)
C1: call poll();                               \* climb (runtime/memory.c): rdl__memory_trim
C2: if (store) { store := FALSE; got := TRUE; goto C6; }; \* climb: take_all
C3: if (pending) p := points; else goto C5;    \* climb: the oldest pending, under the lock
C4: await done[Home] >= p[Home];               \* climb: rdl__device_wait, its first point
    goto C1;
C5: if (frees # before) goto C0;               \* wait_in_turn (runtime/memory.c): something came back
C5b:await token; token := FALSE;               \* wait_in_turn: rdl__park_wait
    goto C0;
C6: if (\E s \in Streams : done[s] < last[s]) fault := "memory is used before its work has run";
}
} *)

NoFault == fault = "none"
AllDone == \A q \in ProcSet : pc[q] = "Done"
Clean == AllDone => got
Ends == <>AllDone
\* Witnesses
NeverInPrivateHands == ~(pc[31] = "C3" /\ mine[21] /\ ~pending)
NeverPutBack == ~(pc[21] = "P2" /\ mine[21] /\ ~passed[21])
NeverWaitsForAPoint == ~(pc[31] = "C4" /\ done[Home] < p[31][Home])
NeverHandedOver == ~(pc[31] = "C5b" /\ token)
=============================================================================
