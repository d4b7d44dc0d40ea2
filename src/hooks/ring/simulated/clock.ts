/** Virtual time: what is due at a moment (a binary heap, first come first served at the same moment), and what is due at once (a queue). */

export interface Timer {
  readonly time: number;
  readonly order: number;
  /** undefined: cancelled. */
  action: (() => void) | undefined;
}

export class Clock {
  /** ns since the world began. */
  now = 0;
  /** Called when something new is due; rings whose users sleep want to know. */
  readonly onChange = new Set<() => void>();
  readonly #heap: Timer[] = [];
  #order = 0;
  #work: (() => void)[] = [];
  #working = false;

  at(time: number, action: () => void): Timer {
    const timer = { time: Math.max(time, this.now), order: this.#order++, action };
    const heap = this.#heap;
    let index = heap.length;
    heap.push(timer);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(timer, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = timer;
    for (const tell of this.onChange) tell();
    return timer;
  }

  /** As the kernel's task work: after what runs now, in order. */
  soon(action: () => void): void {
    this.#work.push(action);
    for (const tell of this.onChange) tell();
  }

  /** Time of the next timer that is not cancelled; Infinity: there is none. */
  next(): number {
    const heap = this.#heap;
    while (heap.length > 0 && heap[0]!.action === undefined) this.#pop();
    return heap.length === 0 ? Number.POSITIVE_INFINITY : heap[0]!.time;
  }

  /** Does what is due at once, and what that makes due. */
  runWork(): void {
    if (this.#working) return;
    this.#working = true;
    try {
      while (this.#work.length > 0) {
        const work = this.#work;
        this.#work = [];
        for (const action of work) action();
      }
    } finally {
      this.#working = false;
    }
  }

  /** Goes to the next timer's time and runs it, with the work that follows. False: there is none. */
  step(): boolean {
    const time = this.next();
    if (time === Number.POSITIVE_INFINITY) return false;
    const timer = this.#pop();
    if (time > this.now) this.now = time;
    const { action } = timer;
    timer.action = undefined;
    action!();
    this.runWork();
    return true;
  }

  /** Runs all that is due until `time`, and stands there. */
  runUntil(time: number): void {
    this.runWork();
    while (this.next() <= time) this.step();
    if (time > this.now) this.now = time;
  }

  /** Forgets everything that is due. */
  clear(): void {
    this.#heap.length = 0;
    this.#work = [];
  }

  #pop(): Timer {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    const { length } = heap;
    if (length === 0) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= length) break;
      if (child + 1 < length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return top;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}
