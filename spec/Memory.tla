------------------------------- MODULE Memory --------------------------------
(* Waiting for device memory: runtime/memory.c. Blocks of sizes 1 and 2 pass between users, lane caches,
   the lanes' remote lists and the store, where free blocks join. One label is one access of an atomic,
   one section under the memory lock, or what the holder of a lane does to its cache.

   Runs lease their lane, allocate Wants of them and, holding the block, give the lane back and free the
   block afterwards, through the remote list or the store. Keepers never give their lane back: held
   streams. A run that finds no memory climbs the ladder; then it queues and climbs in its turn.

   Claims: as long as users free, every run is served (Ends, without deadlines): no hand-over is missed,
   wherever a free block lies; memory is served in the order of waiting; no block is lost (Conserved).
   Bounds: the constants. Assumed: free blocks of the store join whatever their places (the segments of
   the C join neighbours only, and go back when whole). Left out: pending blocks (Reuse.tla), the limit's
   change, refusal by a closing device, deadlines (leave is one section, as in Lane.tla). *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Runs,      \* process 1..n, each with a lane of its own
          Keepers,   \* those of Runs that are held streams
          Total, Wants, \* Wants[r]: what it allocates, one request after another
          Arenas,      \* those of Runs that free into their lane's cache, while they hold it
          Homes,       \* Homes[r]: in which lane's order the blocks that r frees are
          Seeds,       \* blocks of size 1 that lie in the first lane's remote list at first
          BUG
Sizes == {1, 2}
None == 0

(* --algorithm Memory {
variables
  store = Total - Seeds; wanted = FALSE;               \* free bytes of the store; attention's bit
  queue = <<>>; frees = FALSE; climber = None; \* struct rdl__memory; frees: came back since the first looked
  token = [r \in Runs |-> FALSE];              \* struct rdl__park of each waiter
  owner = [r \in Runs |-> None];               \* the lane's word
  cache = [r \in Runs |-> [z \in Sizes |-> 0]]; remote = [r \in Runs |-> [z \in Sizes |-> IF r = 1 /\ z = 1 THEN Seeds ELSE 0]];
  used = [r \in Runs |-> 0];                   \* what each run holds
  moving = [r \in Runs |-> 0];                 \* bytes in the hands of a thread that moves them
  fault = "none";

define {
  Empty == [z \in Sizes |-> 0]
  Bytes(f) == f[1] + 2 * f[2]
  Add(f, z) == [f EXCEPT ![z] = @ + 1]
  Drop(f, z) == [f EXCEPT ![z] = @ - 1]
  Both(f, g) == [z \in Sizes |-> f[z] + g[z]]
}

\* Under the memory lock: note_free_locked.
macro note() {
  if (climber # self) {
    frees := TRUE;
    if (queue # <<>> /\ BUG # "nonote") token[Head(queue)] := TRUE;
  };
}

procedure put() {
P0: if (moving[self] > 0) {                    \* store_put (runtime/memory.c): under the lock
      store := store + moving[self]; moving[self] := 0;
      note();
    };
P1: return;
}

procedure drain(of = 0) {
D0: moving[self] := Bytes(remote[of]); remote[of] := Empty; \* drain_remote (runtime/memory.c): exchange
D1: call put();                                \* drain_remote: settle_block
D2: return;
}

procedure flush(from = 0) {
F0: cache[from] := Both(cache[from], remote[from]); remote[from] := Empty; \* take_remote (runtime/memory.c)
F1: moving[self] := Bytes(cache[from]); cache[from] := Empty; \* rdl__memory_flush_lane (runtime/memory.c)
    call put();
F2: return;
}

procedure trim()
variables rest = {}; lane = 0; {
T0: rest := Runs;
T1: while (rest # {}) {
      with (l \in rest) { lane := l; rest := rest \ {l}; };
      if (owner[lane] = None) {                \* flush_lanes (runtime/memory.c): rdl__lane_try
        owner[lane] := self;
T2:     call flush(lane);                      \* flush_lanes: rdl__memory_flush_lane
T3:     owner[lane] := None;                   \* flush_lanes: rdl__lane_release_after_try
      } else {
T4:     call drain(lane);                      \* flush_lanes: drain_remote
      };
T5:   skip;
    };
    return;
}

procedure climb(want = 0)
variables again = TRUE; {
C0: cache[self] := Both(cache[self], remote[self]); remote[self] := Empty; \* take_one: rdl__memory_take_cached
C0b:if (cache[self][want] > 0) { goto C7; };     \* cache_pop (runtime/memory.c)
C1: if (store >= want) { store := store - want; used[self] := want; goto C8; } \* take_one: store_take, under the lock
    else if (~again) { goto C6; };
C2: moving[self] := Bytes(cache[self]); cache[self] := Empty; \* settle_own_cache (runtime/memory.c)
    call put();
C3: call trim();                               \* take_all_trimmed (runtime/memory.c): rdl__memory_trim
C4: again := FALSE;
    goto C0;
C6: if (BUG # "leftcache" /\ Bytes(cache[self]) > 0) goto C2; \* take_all_trimmed: once more
    else goto C8;
C7: cache[self] := Drop(cache[self], want); used[self] := want;
C8: return;
}

fair process (run \in Runs)
variables n = 0; before = FALSE; saw = FALSE; {
R0: while (n < Len(Wants[self])) {
      n := n + 1;
      await owner[self] \in {None, self}; owner[self] := self; \* rdl__lane_acquire (runtime/lane.c)
R1:   if (~wanted) call climb(Wants[self][n]); \* rdl__memory_alloc (runtime/memory.c): first without waiting
R2:   if (used[self] = 0) {
        queue := Append(queue, self);          \* enqueue (runtime/memory.c): under the lock
        if (BUG # "nobit") wanted := TRUE;
R3:     if (Head(queue) = self) {              \* is_first (runtime/memory.c): climbing
          climber := self; frees := FALSE;
R4:       call climb(Wants[self][n]);          \* wait_in_turn (runtime/memory.c): climb
R5:       climber := None; before := frees;    \* is_first: not climbing
        } else before := FALSE;
R6:     if (used[self] = 0) {
          if (before) goto R3;                 \* wait_in_turn: something came back while it looked
R7:       await token[self];                   \* wait_in_turn: rdl__park_wait
          token[self] := FALSE;
          goto R3;
        };
R8:     if (Head(queue) # self) fault := "overtaken";
        if (Len(queue) = 1) wanted := FALSE;   \* leave (runtime/memory.c): under the lock
        else if (BUG # "nonext") token[queue[2]] := TRUE;
        queue := Tail(queue);
      };
R9:   if (self \in Arenas) {
        saw := wanted;                         \* rdl__memory_free_here (runtime/memory.c): looks
R9b:    if (saw) {
          moving[self] := used[self]; used[self] := 0;
          call put();                          \* rdl__memory_free_here: settle_block
        } else {
          cache[self] := Add(cache[self], used[self]); used[self] := 0; \* rdl__memory_free_here: cache_push
        };
      };
Ra:   if (self \in Keepers) {
        if (BUG # "heldcache") {
          remote[self] := Both(remote[self], cache[self]); cache[self] := Empty; \* rdl__memory_share_cache
Rb:       if (wanted) call drain(self);        \* push_remote (runtime/memory.c): the second look
        };
      } else {
        if (wanted) call flush(self);          \* rdl__lane_release (runtime/lane.c): flushes
Rc:     owner[self] := None;                   \* release_word (runtime/lane.c): exchange
Rd:     if (wanted /\ BUG # "notrim") call trim(); \* rdl__lane_release: rdl__memory_trim
      };
Re:   if (used[self] = 0) goto Rh; else saw := wanted;                           \* rdl__memory_free (runtime/memory.c): the first look
Rf:   if (saw) {
        moving[self] := used[self]; used[self] := 0;
        call put();                            \* rdl__memory_free: settle_block
      } else {
        remote[Homes[self]] := Add(remote[Homes[self]], used[self]); used[self] := 0; \* push_remote: compare-and-swap
Rg:     if (wanted /\ BUG # "onelook") call drain(Homes[self]); \* push_remote: the second look
      };
Rh:   skip;
    };
}
} *)

RECURSIVE Sum(_, _)
Sum(f, S) == IF S = {} THEN 0 ELSE LET x == CHOOSE x \in S : TRUE IN f[x] + Sum(f, S \ {x})
NoFault == fault = "none"
Conserved == store + Sum(used, Runs) + Sum(moving, Runs) + Sum([r \in Runs |-> Bytes(cache[r])], Runs)
             + Sum([r \in Runs |-> Bytes(remote[r])], Runs) = Total
Reachable == \A r \in Runs : owner[r] = None \/ pc[r] # "Done" \/ Bytes(cache[r]) = 0
AllDone == \A p \in ProcSet : pc[p] = "Done"
Clean == AllDone => queue = <<>> /\ ~wanted /\ climber = None
Ends == <>AllDone
Small == <<<<2>>, <<1>>, <<1>>>>
Held == <<<<1, 1>>, <<2>>>>
One == <<<<2>>, <<1>>>>
Other == <<<<1>>, <<2>>>>
Own == <<1, 2, 3>>
First == <<1, 1, 1>>
Pair == <<<<2>>, <<1, 1>>>>
\* Witnesses
NeverWaits == \A r \in Runs : pc[r] # "R7"
NeverTwoWait == Len(queue) < 2
NeverHandedOver == \A r \in Runs : ~(pc[r] = "R7" /\ token[r])
NeverSeesTheBitLate == \A r \in Runs : ~(pc[r] = "Rg" /\ wanted)
NeverSettlesTwice == \A r \in Runs : ~(pc[r] = "C6" /\ Bytes(cache[r]) > 0)
=============================================================================
