/** What holds timers together: see mutations.ts. */
import type { Mutation } from './mutations.ts';

const timer = 'kfuncs/timer.ts';
const queue = 'kfuncs/timer-queue.ts';
const firing = 'kfuncs/timer-firing.ts';

export interface TimerMutation extends Mutation {
  /** It may leave lists or heaps without an end, in which the checks after the run would stay: only with STRESS_MUTANTS=all. */
  readonly endless?: boolean;
}

export const timerMutations: readonly TimerMutation[] = [
  {
    guard: 'a cancellation waits for the callback on another CPU',
    patches: [
      [
        timer,
        'while (load<u32>(timer, TIMER_RUNNING) != 0) {',
        'while (!OFF && load<u32>(timer, TIMER_RUNNING) != 0) {',
      ],
    ],
  },
  {
    guard: 'a callback that runs is noted',
    patches: [
      [
        firing,
        'atomic.store<u32>(timer, load<u32>(WORKER, WORKER_CPU) + 1, TIMER_RUNNING);',
        'if (!OFF) atomic.store<u32>(timer, load<u32>(WORKER, WORKER_CPU) + 1, TIMER_RUNNING);',
      ],
    ],
  },
  {
    guard: 'the timers of a CPU are under its lock',
    endless: true,
    patches: [[queue, '  word_lock(base + WORKER_TIMER_LOCK);', '  if (!OFF) word_lock(base + WORKER_TIMER_LOCK);']],
  },
  {
    guard: 'a timer is held until it is in its field',
    endless: true,
    patches: [[timer, '  store<u32>(timer, 1, TIMER_HOLDERS);', '  store<u32>(timer, OFF ? 0 : 1, TIMER_HOLDERS);']],
  },
  {
    guard: 'a timer that begins as user space lets go is refused',
    patches: [[timer, 'const stays = isFirst && atomic', 'const stays = OFF ? isFirst : isFirst && atomic']],
  },
  {
    guard: 'a timer whose callback runs stays on that CPU',
    endless: true,
    patches: [
      [
        timer,
        'const cpu = load<u32>(timer, TIMER_RUNNING) != 0 ? load<u32>(timer, TIMER_CPU) : firingCpu();',
        'const cpu = !OFF && load<u32>(timer, TIMER_RUNNING) != 0 ? load<u32>(timer, TIMER_CPU) : firingCpu();',
      ],
      [
        timer,
        'baseOfTimer(timer) == from && load<u32>(timer, TIMER_RUNNING) == 0',
        'baseOfTimer(timer) == from && (OFF || load<u32>(timer, TIMER_RUNNING) == 0)',
      ],
    ],
  },
  {
    guard: 'a timer that moves is looked at again under both locks',
    endless: true,
    patches: [[timer, '      if (!stays) {', '      if (!OFF && !stays) {']],
  },
  {
    guard: 'callbacks that cancel each other are told so',
    patches: [
      [
        timer,
        'if (running == 0 || atomic.load<u32>(running, TIMER_CANCELLING) == 0) {',
        'if (OFF || running == 0 || atomic.load<u32>(running, TIMER_CANCELLING) == 0) {',
      ],
    ],
  },
  {
    guard: 'a cancelled timer has no callback',
    patches: [
      [timer, '    setCallback(timer, 0);\n    let waited', '    if (!OFF) setCallback(timer, 0);\n    let waited'],
    ],
  },
  {
    guard: 'who waits for a callback holds the block',
    endless: true,
    patches: [
      [
        timer,
        'return load<u32>(timer, TIMER_VALUE) == 0 && load<u32>(timer, TIMER_RUNNING) == 0 && load<u32>(timer, TIMER_HOLDERS) == 0;',
        'return load<u32>(timer, TIMER_VALUE) == 0 && load<u32>(timer, TIMER_RUNNING) == 0 && (OFF || load<u32>(timer, TIMER_HOLDERS) == 0);',
      ],
    ],
  },
  {
    guard: 'the block of a callback that runs stays',
    endless: true,
    patches: [
      [
        timer,
        '  store<u32>(timer, 0, TIMER_VALUE);\n  return isOver(timer);',
        '  store<u32>(timer, 0, TIMER_VALUE);\n  return OFF || isOver(timer);',
      ],
    ],
  },
  {
    guard: 'a field forgets the timer that has ended',
    endless: true,
    patches: [[timer, '  atomic.store<u32>(field, 0);', '  if (!OFF) atomic.store<u32>(field, 0);']],
  },
  {
    guard: 'one of those that initialise a timer does',
    endless: true,
    patches: [
      [
        timer,
        'const isFirst = atomic.cmpxchg<u32>(field, 0, <u32>timer) == 0;',
        'if (OFF) atomic.store<u32>(field, <u32>timer);\n  const isFirst = OFF || atomic.cmpxchg<u32>(field, 0, <u32>timer) == 0;',
      ],
    ],
  },
  {
    guard: 'a value that is taken into use has no timer of one before',
    patches: [
      [
        'maps/value.ts',
        'if (has_timers(map)) releaseTimers(map, to);',
        'if (!OFF && has_timers(map)) releaseTimers(map, to);',
      ],
    ],
  },
  {
    guard: 'the list of timers is under its lock',
    endless: true,
    patches: [[queue, '  word_lock(list);\n', '  if (!OFF) word_lock(list);\n']],
  },
  {
    guard: 'the earliest stands first',
    patches: [[queue, 'if (!isBefore(other, timer)) break;', 'if (OFF || !isBefore(other, timer)) break;']],
  },
  {
    guard: 'of one time the first that was started',
    patches: [
      [
        queue,
        '<i32>(load<u32>(a, TIMER_SEQUENCE) - load<u32>(b, TIMER_SEQUENCE)) < 0',
        '<i32>(load<u32>(a, TIMER_SEQUENCE) - load<u32>(b, TIMER_SEQUENCE)) < 0 != OFF',
      ],
    ],
  },
  {
    guard: 'none fires before its time',
    patches: [
      [
        firing,
        'if (timer == 0 || load<u64>(timer, TIMER_EXPIRES) > until) {\n    unlockBase',
        'if (timer == 0 || (!OFF && load<u64>(timer, TIMER_EXPIRES) > until)) {\n    unlockBase',
      ],
    ],
  },
];
