/**
 * Guards of the plane's memory, each with what switches it off: places in src/plane/assembly/slab, and what stands there instead, where OFF is true while the guard is
 * off. test/plane-mutants.test.ts builds one plane with all of the switches.
 */
export interface PlaneMutation {
  readonly guard: string;
  readonly patches: readonly (readonly [file: string, from: string, to: string])[];
}

export const planeMutations: readonly PlaneMutation[] = [
  {
    guard: 'a free looks for the mark of free objects',
    patches: [
      [
        'allocator.ts',
        '|| load<u32>(object, OBJECT_KEY) == key\n',
        '|| (!OFF && load<u32>(object, OBJECT_KEY) == key)\n',
      ],
    ],
  },
  {
    guard: 'what bears the mark is looked for among the free ones',
    patches: [['allocator.ts', 'OBJECT_KEY) == key && is_free', 'OBJECT_KEY) == key && !OFF && is_free']],
  },
  {
    guard: 'the mark alone condemns nothing: it may be what a program has written',
    patches: [['allocator.ts', ' is_free(object)) memory_fault', ' (OFF || is_free(object))) memory_fault']],
  },
  {
    guard: 'what is freed into a cache is marked',
    patches: [
      [
        'allocator.ts',
        '  store<u32>(top, <u32>object, 4);\n  store<u32>(object, key, OBJECT_KEY);',
        '  store<u32>(top, <u32>object, 4);\n  if (!OFF) store<u32>(object, key, OBJECT_KEY);',
      ],
    ],
  },
  {
    guard: 'free ones are looked for in the caches',
    patches: [['free-objects.ts', 'at > array && !found;', 'at > array && !found && !OFF;']],
  },
  {
    guard: '… of all CPUs',
    patches: [['free-objects.ts', 'cpu < cpus && !found; cpu++', 'cpu < (OFF ? 1 : cpus) && !found; cpu++']],
  },
  {
    guard: 'free ones are looked for in the slab',
    patches: [['free-objects.ts', 'at != 0 && !found; at', 'at != 0 && !found && !OFF; at']],
  },
  {
    guard: 'an address inside an object is none: where there are caches',
    patches: [
      [
        'allocator.ts',
        '|| (<u32>object & (SLAB_BYTES - 1)) * reciprocal',
        '|| (OFF ? 0 : <u32>object & (SLAB_BYTES - 1)) * reciprocal',
      ],
    ],
  },
  {
    guard: 'an address inside an object is none: where there are no caches',
    patches: [
      [
        'allocator.ts',
        '% load<u32>(entry, SLAB_OBJECT_SIZE) != 0)',
        '% load<u32>(entry, SLAB_OBJECT_SIZE) != 0 && !OFF)',
      ],
    ],
  },
  {
    guard: 'what lies in no slab is no object',
    patches: [['allocator.ts', '  if (depot == 0 || (<u32>object', '  if ((depot == 0 && !OFF) || (<u32>object']],
  },
  {
    guard: 'what is freed later waits',
    patches: [
      [
        'epoch.ts',
        '  const epoch = atomic.load<u32>(ROOT + ROOT_EPOCH);\n  let chunk',
        '  if (OFF) { allocator_free(object); return; }\n  const epoch = atomic.load<u32>(ROOT + ROOT_EPOCH);\n  let chunk',
      ],
    ],
  },
  {
    guard: '… until the outermost call is over',
    patches: [
      [
        'epoch.ts',
        '  if (depth != 0) return;\n  if (load<u32>(WORKER, WORKER_TRIM)',
        '  if (depth != 0 && !OFF) return;\n  if (load<u32>(WORKER, WORKER_TRIM)',
      ],
    ],
  },
  {
    guard: '… and no longer, on one CPU',
    patches: [['epoch.ts', 'limbo_reclaim(u32.MAX_VALUE);', '{ if (!OFF) limbo_reclaim(u32.MAX_VALUE); }']],
  },
  {
    guard: '… and no longer, on several',
    patches: [
      [
        'epoch.ts',
        '  limbo_reclaim(atomic.load<u32>(ROOT + ROOT_EPOCH));',
        '  if (!OFF) limbo_reclaim(atomic.load<u32>(ROOT + ROOT_EPOCH));',
      ],
    ],
  },
  {
    guard: 'a CPU says that it is at work',
    patches: [
      [
        'epoch.ts',
        'function enter_shared(): void {\n  announce();',
        'function enter_shared(): void {\n  if (!OFF) announce();',
      ],
    ],
  },
  {
    guard: 'the epoch moves on when all that are at work are in it',
    patches: [['epoch.ts', '(at & 1) != 0 && at != inside)', '(at & 1) != 0 && at != inside && !OFF)']],
  },
  {
    guard: 'memory is free two epochs later',
    patches: [['epoch.ts', 'load<u32>(chunk, LIMBO_EPOCH)) >= 2)', 'load<u32>(chunk, LIMBO_EPOCH)) >= (OFF ? 1 : 2))']],
  },
  {
    guard: 'what is freed in another epoch goes into another chunk',
    patches: [
      [
        'epoch.ts',
        '|| load<u32>(chunk, LIMBO_EPOCH) != epoch)',
        '|| (load<u32>(chunk, LIMBO_EPOCH) != epoch && !OFF))',
      ],
    ],
  },
  {
    guard: 'caches of a CPU that is at work are its own',
    patches: [['epoch.ts', 'WORKER_EPOCH, 0, stopped_here()) == 0;', 'WORKER_EPOCH, 0, stopped_here()) == 0 || OFF;']],
  },
  {
    guard: 'a CPU empties its caches of what was closed meanwhile',
    patches: [
      [
        'epoch.ts',
        'load<u32>(WORKER, WORKER_CLOSINGS) == closings) return;',
        'load<u32>(WORKER, WORKER_CLOSINGS) == closings || OFF) return;',
      ],
    ],
  },
];
