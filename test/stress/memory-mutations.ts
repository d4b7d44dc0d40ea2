/** As hashMutations, of epochs, objects, buffers, tries, storages and maps of maps. */
import type { Mutation } from './mutations.ts';

/** A mutation, and the scenario that must fail with it. */
export interface Caught extends Mutation {
  readonly by: string;
  /** One access in so many stops (60), where two in a row must be met. */
  readonly every?: number;
  /** It may leave lists of the plane without an end, in which the checks after the run would stay: only with STRESS_MUTANTS=all. */
  readonly endless?: boolean;
}

const epoch = 'slab/epoch.ts';

export const memoryMutations: readonly Caught[] = [
  {
    guard: 'a CPU says that it is at work',
    by: 'epochs: no object ends while a run has it',
    patches: [
      [
        epoch,
        'function enter_shared(): void {\n  announce();',
        'function enter_shared(): void {\n  if (!OFF) announce();',
      ],
    ],
  },
  {
    guard: 'the epoch moves on when all that are at work are in it',
    by: 'epochs: no object ends while a run has it',
    patches: [[epoch, 'cpu < cpus; cpu++) {\n    const at', 'cpu < (OFF ? 1 : cpus); cpu++) {\n    const at']],
  },
  {
    guard: 'memory is free two epochs later',
    by: 'epochs: no object ends while a run has it',
    patches: [[epoch, 'load<u32>(chunk, LIMBO_EPOCH)) >= 2)', 'load<u32>(chunk, LIMBO_EPOCH)) >= (OFF ? 1 : 2))']],
  },
  {
    guard: 'what is freed later waits',
    by: 'epochs: no object ends while a run has it',
    patches: [[epoch, '  limbo_put(object);\n}', '  if (OFF) allocator_free(object);\n  else limbo_put(object);\n}']],
  },
  {
    guard: 'what is freed in another epoch goes into another chunk',
    by: 'epochs: no object ends while a run has it',
    patches: [[epoch, 'load<u32>(chunk, LIMBO_EPOCH) != epoch)', '(load<u32>(chunk, LIMBO_EPOCH) != epoch && !OFF))']],
  },
  {
    guard: 'it waits from the epoch of all, not from its CPU’s',
    by: 'epochs: no object ends while a run has it',
    patches: [
      [
        epoch,
        'const epoch = atomic.load<u32>(ROOT + ROOT_EPOCH);\n  let chunk',
        'const epoch = OFF ? load<u32>(WORKER, WORKER_EPOCH) >> 2 : atomic.load<u32>(ROOT + ROOT_EPOCH);\n  let chunk',
      ],
    ],
  },
  {
    guard: 'a CPU with much that waits waits for the others',
    by: 'what waits is free once the CPUs have left, and a CPU with much waits for them a while',
    patches: [[epoch, '> <u32>LIMBO_URGENT && i <', '> <u32>LIMBO_URGENT && !OFF && i <']],
  },
  {
    guard: 'a map without references waits',
    by: 'array_of_maps: maps that are replaced stay for the runs that have them, and no memory is lost',
    patches: [
      ['maps/registry.ts', '  retire(map, WAITS_MAP);', '  if (OFF) map_end(map);\n  else retire(map, WAITS_MAP);'],
    ],
  },
  {
    guard: 'an inner map is replaced in one step',
    endless: true,
    by: 'array_of_maps: maps that are replaced stay for the runs that have them, and no memory is lost',
    patches: [
      [
        'maps/array-of-maps.ts',
        '  const old = atomic.xchg<u32>(map_slot(map, index), <u32>inner);',
        '  let old = atomic.load<u32>(map_slot(map, index));\n  if (OFF) atomic.store<u32>(map_slot(map, index), <u32>inner);\n  else old = atomic.xchg<u32>(map_slot(map, index), <u32>inner);',
      ],
    ],
  },
  {
    guard: 'a modelled object without references waits',
    by: 'sockmap: sockets that end stay for the runs that have them',
    patches: [
      [
        'objects.ts',
        '  retire(object, WAITS_MODELLED);',
        '  if (OFF) object_end(object);\n  else retire(object, WAITS_MODELLED);',
      ],
    ],
  },
  {
    guard: 'what has no references any more is not held',
    by: 'a control group without references is not held any more',
    patches: [['objects.ts', '  while (references != 0) {', '  while (OFF || references != 0) {']],
  },
  {
    guard: 'a value that leaves a storage waits',
    by: 'task_storage: one value an owner, which stays',
    patches: [['maps/storage.ts', '  if (cpu_count() == 1) {', '  if (OFF || cpu_count() == 1) {']],
  },
  {
    guard: 'the map of a value that waits is held',
    by: 'a storage that is closed while a value of it waits',
    patches: [
      ['maps/storage.ts', '  map_hold(map);', '  if (!OFF) map_hold(map);'],
      [
        'maps/storage.ts',
        '  hash_give(map, element);\n  map_destroy(map);',
        '  hash_give(map, element);\n  if (!OFF) map_destroy(map);',
      ],
    ],
  },
  {
    guard: 'a value that another CPU has made is found before one is made',
    by: 'task_storage: one value an owner, which stays',
    patches: [
      [
        'maps/storage.ts',
        '  const other = element_behind(word, before);\n  if (other != 0) {',
        '  const other = element_behind(word, before);\n  if (other != 0 && !OFF) {',
      ],
    ],
  },
  {
    guard: 'a value that another CPU has made is not new',
    by: 'storage: of several that are written as new one is',
    patches: [
      [
        'maps/storage.ts',
        '  if (old == 0 ? mode == BPF_EXIST : mode == BPF_NOEXIST) {',
        '  if (old == 0 ? mode == BPF_EXIST : mode == BPF_NOEXIST && !OFF) {',
      ],
    ],
  },
  {
    guard: 'nodes of a trie wait',
    by: 'LPM trie: the longest prefix covers the key, and its value stays',
    patches: [
      [
        'maps/lpm-trie.ts',
        '  if (cpu_count() == 1) return;\n  let node',
        '  if (OFF || cpu_count() == 1) return;\n  let node',
      ],
    ],
  },
  {
    guard: 'a node of a trie is whole before it is seen',
    every: 8,
    by: 'LPM trie: the longest prefix covers the key, and its value stays',
    patches: [
      [
        'maps/lpm-trie.ts',
        '    store<u64>(entry, load<u64>(node, LPM_NODE_CHILDREN), LPM_NODE_CHILDREN);\n    atomic.store<u32>(slot, <u32>entry);',
        '    if (OFF) atomic.store<u32>(slot, <u32>entry);\n    store<u64>(entry, load<u64>(node, LPM_NODE_CHILDREN), LPM_NODE_CHILDREN);\n    atomic.store<u32>(slot, <u32>entry);',
      ],
    ],
  },
  {
    guard: 'the table leads to the new node',
    by: 'LPM trie: prefixes that cover no other are linearizable',
    patches: [
      [
        'maps/lpm-trie.ts',
        'update_locked(map, key, value, flags);\n  if (result == 0) refresh_table(map, key);',
        'update_locked(map, key, value, flags);\n  if (result == 0 && !OFF) refresh_table(map, key);',
      ],
    ],
  },
  {
    guard: 'the length of a record is there before its place is taken',
    by: 'ringbuf: several producers, all flags',
    patches: [
      [
        'maps/ringbuf.ts',
        '  store<u32>(record, <u32>size | BUSY);',
        '  if (OFF) atomic.store<u64>(map, next | RINGBUF_LOCKED, RINGBUF_PRODUCER);\n  store<u32>(record, <u32>size | BUSY);',
      ],
    ],
  },
  {
    guard: 'a record that is being written is not read',
    by: 'ringbuf: several producers, all flags',
    patches: [['maps/ringbuf.ts', '    if (word & BUSY) return 0;', '    if (!OFF && word & BUSY) return 0;']],
  },
  {
    guard: 'a ring has no more records than fit',
    by: 'ringbuf: several producers, all flags',
    patches: [
      ['maps/ringbuf.ts', '  if (next - consumed > mask) {', '  if (next - consumed > mask + (OFF ? 512 : 0)) {'],
    ],
  },
  {
    guard: 'a record that is discarded is passed over',
    by: 'ringbuf: several producers, all flags',
    patches: [
      [
        'maps/ringbuf.ts',
        '    if (!(word & DISCARD)) return record;',
        '    if (OFF || !(word & DISCARD)) return record;',
      ],
    ],
  },
  {
    guard: 'whether the consumer waits is looked at after the record is there',
    by: 'ringbuf: several producers, a consumer that sleeps',
    patches: [
      [
        'maps/ringbuf.ts',
        '  atomic.store<u32>(record, (load<u32>(record) ^ BUSY) | discard);',
        '  const early = <u32>atomic.load<u64>(map, RINGBUF_CONSUMER);\n  atomic.store<u32>(record, (load<u32>(record) ^ BUSY) | discard);',
      ],
      [
        'maps/ringbuf.ts',
        '(<u32>atomic.load<u64>(map, RINGBUF_CONSUMER) & load<u32>(map, RINGBUF_MASK)) == place',
        '((OFF ? early : <u32>atomic.load<u64>(map, RINGBUF_CONSUMER)) & load<u32>(map, RINGBUF_MASK)) == place',
      ],
    ],
  },
  {
    guard: 'the producers are looked at again after a record was passed over',
    by: 'ringbuf: a consumer that has passed over a record looks again before it sleeps',
    patches: [
      [
        'maps/ringbuf.ts',
        '  while (consumed < producer_of(map)) {',
        '  const seen = producer_of(map);\n  while (consumed < (OFF ? seen : producer_of(map))) {',
      ],
    ],
  },
  {
    guard: 'bits of a filter are set in one step',
    by: 'bloom filter: what was pushed is found',
    patches: [
      [
        'maps/bloom-filter.ts',
        '    atomic.or<u32>(bits + ((bit >> 5) << 2), <u32>1 << (bit & 31));',
        '    const at = bits + ((bit >> 5) << 2);\n    if (OFF) atomic.store<u32>(at, atomic.load<u32>(at) | (<u32>1 << (bit & 31)));\n    else atomic.or<u32>(at, <u32>1 << (bit & 31));',
      ],
    ],
  },
  {
    guard: 'a pointer is exchanged in one step',
    by: 'kptr: what is put in comes out once',
    patches: [
      [
        'kfuncs/object.ts',
        '  return atomic.xchg<u64>(<usize>field, pointer);',
        '  if (OFF) {\n    const before = atomic.load<u64>(<usize>field);\n    atomic.store<u64>(<usize>field, pointer);\n    return before;\n  }\n  return atomic.xchg<u64>(<usize>field, pointer);',
      ],
    ],
  },
  {
    guard: 'an object without references is not acquired',
    by: 'references: what is held stays, what has none ends once',
    patches: [['kfuncs/object.ts', '  while (seen != 0) {', '  while (OFF || seen != 0) {']],
  },
  {
    guard: 'references are counted in one step',
    by: 'references: what is held stays, what has none ends once',
    patches: [
      [
        'fields/free.ts',
        '  if (refcount != 0 && atomic.sub<u32>(object + refcount - 1, 1) != 1) return waiting;',
        '  if (OFF && refcount != 0) {\n    const references = atomic.load<u32>(object + refcount - 1);\n    atomic.store<u32>(object + refcount - 1, references - 1);\n    if (references != 1) return waiting;\n  } else if (refcount != 0 && atomic.sub<u32>(object + refcount - 1, 1) != 1) return waiting;',
      ],
    ],
  },
  {
    guard: 'an object that is read under RCU waits',
    by: 'references: what is held stays, what has none ends once',
    patches: [
      [
        'fields/free.ts',
        'RECORD_DEFERRED) != 0) allocator_free_later',
        'RECORD_DEFERRED) != 0 && !OFF) allocator_free_later',
      ],
    ],
  },
  {
    guard: 'a CPU mask that is released waits',
    by: 'CPU masks: those that are read under RCU stay',
    patches: [
      [
        epoch,
        '  if (cpu_count() == 1 && load<u32>(WORKER, WORKER_EPOCH_DEPTH) == 0) retired_end',
        '  if ((OFF && kind == WAITS_BLOCK) || (cpu_count() == 1 && load<u32>(WORKER, WORKER_EPOCH_DEPTH) == 0)) retired_end',
      ],
    ],
  },
  {
    guard: 'what is kept from use is looked at under its lock',
    by: 'epochs: no object ends while a run has it, under checks',
    patches: [
      [
        'slab/checks.ts',
        '    const object = quarantine_at(i);\n    if (!is_intact',
        '    const object = quarantine_at(i);\n    // The checks have no stops of their own.\n    if (OFF) for (let j = 0; j < 200; j++) atomic.load<u32>(object);\n    if (!is_intact',
      ],
      [
        'slab/checks.ts',
        '  word_lock(ROOT + ROOT_QUARANTINE_LOCK);\n  const key',
        '  if (!OFF) word_lock(ROOT + ROOT_QUARANTINE_LOCK);\n  const key',
      ],
      [
        'slab/checks.ts',
        '  word_unlock(ROOT + ROOT_QUARANTINE_LOCK);\n  if (written',
        '  if (!OFF) word_unlock(ROOT + ROOT_QUARANTINE_LOCK);\n  if (written',
      ],
    ],
  },
  {
    guard: 'allocators are merged while no other CPU is at work',
    endless: true,
    by: 'allocators that are merged while others allocate',
    patches: [['slab/merge.ts', '  if (!stop_others()) return', '  if (!OFF && !stop_others()) return']],
  },
  {
    guard: 'a push has the queue’s lock',
    by: 'queue: is linearizable',
    patches: [
      [
        'maps/queue.ts',
        '  word_lock(map + QUEUE_LOCK);\n  const head = load<u32>(map, QUEUE_HEAD);\n  const tail = load<u32>(map, QUEUE_TAIL);\n  const next',
        '  if (!OFF) word_lock(map + QUEUE_LOCK);\n  const head = load<u32>(map, QUEUE_HEAD);\n  const tail = load<u32>(map, QUEUE_TAIL);\n  const next',
      ],
    ],
  },
  {
    guard: 'a pop has the queue’s lock',
    by: 'stack: is linearizable',
    patches: [
      [
        'maps/queue.ts',
        '  word_lock(map + QUEUE_LOCK);\n  const head = load<u32>(map, QUEUE_HEAD);\n  const tail = load<u32>(map, QUEUE_TAIL);\n  if',
        '  if (!OFF) word_lock(map + QUEUE_LOCK);\n  const head = load<u32>(map, QUEUE_HEAD);\n  const tail = load<u32>(map, QUEUE_TAIL);\n  if',
      ],
    ],
  },
  {
    guard: 'a place in a ring is taken under its lock',
    by: 'ringbuf: several producers, all flags',
    patches: [
      [
        'maps/ringbuf.ts',
        'const produced = bit_lock(map + RINGBUF_PRODUCER);',
        'const produced = OFF ? atomic.load<u64>(map, RINGBUF_PRODUCER) : bit_lock(map + RINGBUF_PRODUCER);',
      ],
    ],
  },
  {
    guard: 'a trie has one writer',
    endless: true,
    by: 'LPM trie: the longest prefix covers the key, and its value stays',
    patches: [
      [
        'maps/lpm-trie.ts',
        '  word_lock(map + LPM_LOCK);\n  const result = update_locked',
        '  if (!OFF) word_lock(map + LPM_LOCK);\n  const result = update_locked',
      ],
    ],
  },
  {
    guard: 'a hash of maps has one writer',
    endless: true,
    by: 'hash_of_maps: maps that are replaced stay for the runs that have them, and no memory is lost',
    patches: [
      [
        'maps/hash-of-maps.ts',
        '  word_lock(map + WRITERS);\n  const old = hash_of_maps_lookup(map, key);\n  const refused = <i32>hash_update',
        '  if (!OFF) word_lock(map + WRITERS);\n  const old = hash_of_maps_lookup(map, key);\n  const refused = <i32>hash_update',
      ],
    ],
  },
  {
    guard: 'pages of an arena are taken under its lock',
    by: 'arena: pages and objects are one CPU',
    patches: [
      [
        'maps/arena.ts',
        '  word_lock(map + ARENA_LOCK);\n  range_begin(map);\n  const page',
        '  if (!OFF) word_lock(map + ARENA_LOCK);\n  range_begin(map);\n  const page',
      ],
    ],
  },
  {
    guard: 'pages of an arena are cleared before another CPU has them',
    by: 'arena: pages and objects are one CPU',
    patches: [
      [
        'maps/arena.ts',
        '  mark(map, page, given, false);\n  word_unlock(map + ARENA_LOCK);',
        '  mark(map, page, given, false);\n  word_unlock(map + ARENA_LOCK);\n  if (OFF) memory.fill(load<u32>(map, MAP_VALUES) + page * ARENA_PAGE, 0, <usize>given * ARENA_PAGE);',
      ],
    ],
  },
  {
    guard: 'objects of an arena are taken under its lock',
    by: 'arena: pages and objects are one CPU',
    patches: [
      [
        'kfuncs/arena-objects.ts',
        '  word_lock(arena + ARENA_SLABS_LOCK);\n  let at',
        '  if (!OFF) word_lock(arena + ARENA_SLABS_LOCK);\n  let at',
      ],
    ],
  },
  {
    guard: 'blocks of the pool are taken under its lock',
    by: 'CPU masks: those that are read under RCU stay',
    patches: [
      ['kfuncs/pool.ts', '  word_lock(ROOT + ROOT_POOL_LOCK);', '  if (!OFF) word_lock(ROOT + ROOT_POOL_LOCK);'],
    ],
  },
  {
    guard: 'a program’s lock is one CPU’s at a time',
    by: 'spin locks: one CPU at a time',
    patches: [
      ['maps/value.ts', '  word_lock(lock);\n  program_holds', '  if (!OFF) word_lock(lock);\n  program_holds'],
    ],
  },
  {
    guard: 'user space copies values under their lock',
    by: 'spin locks: one CPU at a time',
    patches: [
      [
        'maps/value.ts',
        'export function value_copy_locked(map: usize, to: usize, from: usize, owner: usize): void {',
        'export function value_copy_locked(map: usize, to: usize, from: usize, owner: usize): void {\n  if (OFF) {\n    copy_around_fields(map, to, from);\n    return;\n  }',
      ],
    ],
  },
  {
    guard: 'a resilient lock is one CPU’s at a time',
    by: 'resilient locks: one CPU at a time',
    patches: [['kfuncs/sections.ts', '!word_lock_within(at, 1); ms++', '!OFF && !word_lock_within(at, 1); ms++']],
  },
  {
    guard: 'a lock word is one CPU’s at a time',
    endless: true,
    by: 'lists under locks: what is pushed is popped once',
    patches: [
      [
        'locks/word.ts',
        '  if (atomic.cmpxchg<u32>(word, 0, own) != 0) take_later',
        '  if (!OFF && atomic.cmpxchg<u32>(word, 0, own) != 0) take_later',
      ],
    ],
  },
];
