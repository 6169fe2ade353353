-------------------------------- MODULE Handle --------------------------------
(* Handle tables: runtime/handle.c. A slot's word is a generation and a count of pins; a handle is an
   index and a generation. Openers name objects, users pin and unpin by the handles that they find,
   closers close them, and one walker closes all that belong to a device (rdl__handle_close_all).

   Claims: a pinned object is not destroyed (NoFault); each is destroyed once, and in the end all closed
   ones are (Clean); a stale handle never finds another object; who opens with a pin may go on using
   the object although it was closed at once.
   Bounds: the constants; generations up to LastGeneration, where a slot is used up. Assumed: fewer pins
   than the count holds (2^24). Left out: growth of the table, which only adds slots. *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Slots, Openers, Users, Closers, Walkers,
          Rounds,          \* objects that each opener makes
          LastGeneration, BUG
Objects == Openers \X (1..Rounds)
Nothing == <<0, 0>>

(* --algorithm Handle {
variables
  gen = [i \in Slots |-> 0]; pins = [i \in Slots |-> 0];  \* struct rdl__slot: word
  object = [i \in Slots |-> Nothing];                      \* struct rdl__slot: object
  free = Slots;                                            \* the free list and the fresh slots
  known = {};                                              \* handles that are out: <<slot, generation, object>>
  destroyed = [o \in Objects |-> 0]; refused = {}; fault = "none";

procedure unpin(slot = 0, of = 0)
variables last = FALSE; {
P0: pins[slot] := pins[slot] - 1;              \* rdl__handle_unpin (runtime/handle.c): one subtraction
    last := pins[slot] = 0 /\ gen[slot] # of;
P1: if (last) {                                \* free_slot (runtime/handle.c): destroy, under no lock
      destroyed[object[slot]] := destroyed[object[slot]] + 1;
P2:   if (gen[slot] < LastGeneration) free := free \cup {slot}; \* free_slot: the free list, under its lock
    };
P3: return;
}

procedure close(slot_ = 0, of_ = 0, had = FALSE)
variables seen = <<0, 0>>; {
L0: seen := <<gen[slot_], pins[slot_]>>;       \* rdl__handle_close (runtime/handle.c): reads the word
L1: if (seen[1] # of_) { goto L3; }
    else if (<<gen[slot_], pins[slot_]>> # seen) { goto L0; } \* rdl__handle_close: the compare-and-swap
    else if (BUG = "nopin") {
      gen[slot_] := gen[slot_] + 1;
      if (pins[slot_] = 0) destroyed[object[slot_]] := destroyed[object[slot_]] + 1;
L1b:  free := free \cup {slot_};
      goto L3;
    } else {
      gen[slot_] := gen[slot_] + 1; pins[slot_] := pins[slot_] + 1;
    };
L2: call unpin(slot_, of_);                    \* rdl__handle_close: rdl__handle_unpin
L3: return;
}

fair process (opener \in Openers)
variables n = 0; s = 0; g = 0; {
O0: while (n < Rounds) {
      if (free = {}) { refused := refused \cup {<<self, n + 1>>}; n := n + 1; goto O0; }
      else with (x \in free) { s := x; free := free \ {x}; }; \* take_slot (runtime/handle.c), under its lock
O1:   object[s] := <<self, n + 1>>;            \* rdl__handle_open (runtime/handle.c): the object
O2:   g := gen[s] + 1;                         \* rdl__handle_open: reads the word, writes *id
O3:   gen[s] := g;                             \* open_with (runtime/handle.c): one store
      pins[s] := IF BUG = "openunpinned" THEN 0 ELSE 1;
      known := known \cup {<<s, g, <<self, n + 1>>>>};
O4:   if (destroyed[<<self, n + 1>>] > 0) fault := "opener uses a destroyed object"; \* publish (runtime/stream.c)
      n := n + 1;
      if (BUG # "openunpinned") call unpin(s, g); \* publish: rdl__handle_unpin
    };
}

fair process (user \in Users)
variables h = <<0, 0, Nothing>>; w = <<0, 0>>; got = Nothing; {
U0: either { await known # {}; with (x \in known) h := x; }
    or { await \A o \in Openers : pc[o] = "Done"; goto Done; };
U1: w := <<gen[h[1]], pins[h[1]]>>;            \* rdl__handle_pin (runtime/handle.c): reads the word
U2: if (w[1] # h[2] /\ BUG # "nogeneration") { goto Done; }
    else if (<<gen[h[1]], pins[h[1]]>> # w) { goto U1; } \* rdl__handle_pin: the compare-and-swap
    else pins[h[1]] := pins[h[1]] + 1;
U3: got := object[h[1]];                       \* rdl__handle_pin: the object
    if (got # h[3]) fault := "a handle finds another object";
U4: if (destroyed[got] > 0) fault := "a pinned object was destroyed";
U5: call unpin(h[1], h[2]);                    \* rdl__handle_unpin (runtime/handle.c)
}

fair process (closer \in Closers)
variables k = <<0, 0, Nothing>>; {
C0: either { await known # {}; with (x \in known) k := x; }
    or { await \A o \in Openers : pc[o] = "Done"; goto Done; };
C1: call close(k[1], k[2], TRUE);              \* rdl_stream_close (runtime/stream.c), rdl_event_close, ...
}

\* Walks until every opener is done, so that nothing stays open: closing looks at each slot at least once.
fair process (walker \in Walkers)
variables rest = {}; at = 0; id = 0; v = <<0, 0>>; final = FALSE; {
K0: final := \A o \in Openers : pc[o] = "Done"; rest := Slots;
K1: while (rest # {}) {
      with (x \in rest) { at := x; rest := rest \ {x}; };
      id := gen[at];                           \* open_id (runtime/handle.c)
      if (id % 2 = 1) {
K2:     v := <<gen[at], pins[at]>>;            \* rdl__handle_close_all (runtime/handle.c): rdl__handle_pin
K3:     if (v[1] = id) {
          if (<<gen[at], pins[at]>> # v) goto K2; else pins[at] := pins[at] + 1;
K4:       call close(at, id, TRUE);            \* rdl__handle_close_all: rdl__handle_close
K5:       call unpin(at, id);                  \* rdl__handle_close_all: rdl__handle_unpin
        };
      };
K6:   skip;
    };
    if (~final) goto K0;
}
} *)

NoFault == fault = "none"
DestroyedOnce == \A o \in Objects : destroyed[o] <= 1
NeverReused == \A a, b \in known : a[1] = b[1] /\ a[2] = b[2] => a[3] = b[3]
ClosedHasOwner == \A s_ \in Slots : s_ \in free => pins[s_] = 0 /\ gen[s_] % 2 = 0
AllDone == \A p \in ProcSet : pc[p] = "Done"
Clean == AllDone /\ Walkers # {} => \A o \in Objects : destroyed[o] = 1 \/ o \in refused
Ends == <>AllDone
\* Witnesses
NeverPinnedClosed == ~\E s_ \in Slots : gen[s_] % 2 = 0 /\ pins[s_] > 1
NeverReusedSlot == ~\E a, b \in known : a[1] = b[1] /\ a[2] # b[2]
NeverStale == ~\E u \in Users : pc[u] = "U2" /\ w[u][1] # h[u][2]
NeverUsedUp == ~\E s_ \in Slots : gen[s_] = LastGeneration
NeverClosedUnderItsOpener == ~\E o \in Openers : pc[o] = "O4" /\ gen[s[o]] # g[o]
=============================================================================
