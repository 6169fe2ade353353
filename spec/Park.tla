-------------------------------- MODULE Park --------------------------------
(* How a thread waits: os/park.c (a token under a lock, with a condition), the list of a queue that
   names the parker, and runtime/cancel.c (the list of a cancel token that names it too).

   One waiter parks Rounds times, each time with a new parker at the same place of its stack. A server
   hands it what it waits for, one token of work a round; a canceller sets the cancel token. The
   condition may wake without cause; with WithTimeout a wait may end at its deadline.

   Claims: nobody touches a parker that has ended (NoFault); no wake-up is lost: the waiter ends
   (Ends), without the help of a timeout. Bounds: one waiter, one canceller, Rounds servings.
   Assumed: mutexes and conditions of POSIX; locks of the queue and of the cancel lists are told apart
   and the park lock is the leaf. Left out: the token that another token follows (one more list). *)
EXTENDS Naturals, Sequences, TLC
CONSTANTS Rounds, WithCancel, WithTimeout, BUG
None == "none"

(* --algorithm Park {
variables
  alive = FALSE; parkLock = None; token = FALSE;    \* struct rdl__park
  waiting = FALSE; signalled = FALSE;                \* its condition: the waiter sleeps; is to wake
  linksLock = None; linked = FALSE; requested = FALSE; \* struct rdl_cancel
  queueLock = None; queued = FALSE; served = FALSE;  \* a queue, as those of lane, turn, memory, flight
  work = 0;                                          \* servings that found nobody
  fault = "none";

macro touch() { if (~alive /\ fault = "none") fault := "dead parker"; }

procedure Wake() {
K0: await parkLock = None;                           \* rdl__park_wake (os/park.c): lock
    touch();
    parkLock := self;
K1: touch();                                         \* rdl__park_wake: the token
    if (BUG # "notoken") token := TRUE;
    K2: touch();                                         \* rdl__park_wake: rdl__cond_signal under the lock
    if (waiting) signalled := TRUE;
K3: touch();                                         \* rdl__park_wake: unlock
    parkLock := None;
    return;
}

fair process (waiter \in {"waiter"})
variables n = 0; status = "ok"; mine = FALSE; had = FALSE; {
W0: while (n < Rounds /\ status = "ok") {            \* rdl__park_init (os/park.c)
      n := n + 1; alive := TRUE; token := FALSE; mine := FALSE;
      waiting := FALSE; signalled := FALSE;
W1:   if (BUG = "lookfirst" /\ requested) { status := "cancelled"; goto W8; };
W2:   await linksLock = None;                        \* rdl__cancel_link (runtime/cancel.c)
      linked := TRUE;
W3:   await queueLock = None;                        \* a queue's enqueue, as take_or_queue (runtime/stream.c)
      if (work > 0) { work := work - 1; mine := TRUE; } else { queued := TRUE; served := FALSE; };
W4:   while (~mine /\ status = "ok") {               \* rdl__cancelled (runtime/cancel.h): the last look
        if (BUG # "lookfirst" /\ requested) { status := "cancelled"; goto W7; };
W5:     await parkLock = None;                       \* rdl__park_wait (os/park.c): lock
        parkLock := self; had := FALSE;
W6:     either {                                     \* rdl__park_wait: no token, rdl__cond_wait_until
          await ~token;
          waiting := TRUE; parkLock := None;
W6b:      await parkLock = None;                     \* rdl__cond_wait_until (os/lock.c) returns, locked:
          either { await signalled; }                \* for a signal,
          or { await token; }                        \* without cause (fruitless while there is no token),
          or { await WithTimeout; status := "deadline"; }; \* at the deadline
          waiting := FALSE; signalled := FALSE; parkLock := self;
W6c:      if (~token /\ status = "ok") { goto W6; };  \* rdl__park_wait: the loop's test
        } or { await token; };
W6d:    had := token; token := FALSE; parkLock := None; \* rdl__park_wait: takes the token
        if (had) status := "ok";
W7:     await queueLock = None;                      \* a queue's check, as check_served (runtime/stream.c)
        if (served) { mine := TRUE; served := FALSE; status := "ok"; }
        else if (status # "ok" /\ BUG # "stay") queued := FALSE;
      };
W8:   if (BUG # "unlinklate") {                      \* rdl__cancel_unlink (runtime/cancel.c)
        await linksLock = None; linked := FALSE;
      };
W9:   if (BUG # "nofinilock") { await parkLock = None; parkLock := self; }; \* rdl__park_fini (os/park.c): lock
Wa:   if (parkLock = self) parkLock := None;         \* rdl__park_fini: unlock
Wb:   alive := FALSE;                                \* rdl__park_fini: rdl__lock_fini, the frame ends
Wc:   if (linked) { await linksLock = None; linked := FALSE; }; \* rdl__cancel_unlink: nothing left to do
    };
}

fair process (server \in {"server"})
variables given = 0; {
S0: while (given < Rounds) {
      either { await WithCancel; given := Rounds; goto S9; } \* with a canceller about, it may never serve
      or { skip; };
Sl:   await queueLock = None; queueLock := self;     \* rdl__turn_give (runtime/stream.c), as grant_locked: lock
      given := given + 1;
S1:   if (queued) {                                  \* rdl__turn_give: takes the first off and serves it
        queued := FALSE; served := TRUE;
        if (BUG = "wakeoutside") queueLock := None;
S2:     call Wake();                                 \* rdl__turn_give: rdl__park_wake under the queue's lock
      } else work := work + 1;
S3:   if (queueLock = self) queueLock := None;       \* rdl__turn_give: unlock
S9:   skip;
    };
}

fair process (canceller \in {"canceller"}) {
X0: if (WithCancel) {
      await linksLock = None; linksLock := self;     \* rdl_cancel_request (runtime/cancel.c): lock
X1:   requested := TRUE;                             \* rdl_cancel_request: the flag
X2:   if (linked) call Wake();                       \* rdl_cancel_request: wakes all that are listed
X3:   linksLock := None;                             \* rdl_cancel_request: unlock
    };
}
} *)

NoFault == fault = "none"
AllDone == \A p \in ProcSet : pc[p] = "Done"
Ends == <>AllDone
\* Witnesses: each says that something cannot happen, and must be refuted.
NeverSleeps == ~waiting
NeverCancelledAsleep == ~(waiting /\ requested)
NeverServedAtTheLastMoment == ~(pc["waiter"] = "W7" /\ served /\ status["waiter"] # "ok")
\* Shown, not only claimed: rdl__park_fini's lock never waits, since all wakers hold the list's lock.
FiniNeverWaits == ~(pc["waiter"] = "W9" /\ parkLock # None)
=============================================================================
