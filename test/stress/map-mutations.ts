/** As memoryMutations, of targets, sockets, traces, events, trees and storages. */
import type { Caught } from './memory-mutations.ts';

export const mapMutations: readonly Caught[] = [
  {
    guard: 'a target is read in one piece',
    by: 'devmap: a target is what was written at one moment',
    patches: [
      [
        'maps/target-array.ts',
        '  const element = atomic.load<u64>(target(map, index));\n',
        '  const first = OFF ? atomic.load<u32>(target(map, index)) : 0;\n' +
          '  const element = OFF ? ((<u64>atomic.load<u32>(target(map, index), 4)) << 32) | first : atomic.load<u64>(target(map, index));\n',
      ],
    ],
  },
  {
    guard: 'a target of a devmap_hash counts only if the bucket has not changed',
    by: 'devmap_hash: a target is what was written at one moment',
    patches: [
      [
        'maps/devmap.ts',
        'if (!has_changed(bucket, word)) return target;',
        'if (OFF || !has_changed(bucket, word)) return target;',
      ],
    ],
  },
  {
    guard: 'the queue of a socket that is taken out of an xskmap stays',
    by: 'xskmap: a socket that was found has its queue',
    patches: [
      [
        'maps/target-array.ts',
        '  if (load<u32>(map, MAP_TYPE) == XSKMAP) atomic.store',
        '  if (load<u32>(map, MAP_TYPE) == XSKMAP && !OFF) atomic.store',
      ],
    ],
  },
  {
    guard: 'an xskmap has one writer',
    by: 'xskmap: of several that are written as new one is',
    patches: [
      [
        'maps/xskmap.ts',
        '  word_lock(map + XSKMAP_LOCK);\n  const refused = target_array_update_check',
        '  if (!OFF) word_lock(map + XSKMAP_LOCK);\n  const refused = target_array_update_check',
      ],
    ],
  },
  {
    guard: 'a reuseport_sockarray has one writer',
    by: 'reuseport_sockarray: of several that are written as new one is',
    patches: [
      [
        'maps/reuseport-sockarray.ts',
        '  word_lock(map + SOCKMAP_LOCK);\n  const refused = put',
        '  if (!OFF) word_lock(map + SOCKMAP_LOCK);\n  const refused = put',
      ],
    ],
  },
  {
    guard: 'a sockmap has one writer',
    by: 'sockmap: of several that are written as new one is',
    patches: [
      [
        'maps/sockmap.ts',
        '  word_lock(map + SOCKMAP_LOCK);\n  const old = find(map, key);\n  let refused',
        '  if (!OFF) word_lock(map + SOCKMAP_LOCK);\n  const old = find(map, key);\n  let refused',
      ],
    ],
  },
  {
    guard: 'the socket that a redirect leads to is the one that was found',
    by: 'sockhash: a redirect that passes has a socket',
    patches: [
      [
        'maps/sockmap.ts',
        'export function bpf_sk_redirect_hash(_skb: u64, map: u64, key: u64, flags: u64): u64 {\n',
        'export function bpf_sk_redirect_hash(_skb: u64, map: u64, key: u64, flags: u64): u64 {\n' +
          '  if (OFF) {\n    const first = <u32>sockhash_lookup(<usize>map, <usize>key);\n' +
          '    return redirect(<usize>map, sockhash_lookup(<usize>map, <usize>key), first, flags);\n  }\n',
      ],
    ],
  },
  {
    guard: 'a trace is put under the lock',
    by: 'stack_trace: each bucket is a register',
    patches: [
      [
        'maps/stack-trace.ts',
        '  word_lock(map + TRACE_LOCK);\n  const there = load<u32>(bucket, TRACE_COUNT) != 0;\n  const matches',
        '  if (!OFF) word_lock(map + TRACE_LOCK);\n  const there = load<u32>(bucket, TRACE_COUNT) != 0;\n  const matches',
      ],
    ],
  },
  {
    guard: 'a trace is taken in one step',
    by: 'stack_trace: each bucket is a register',
    patches: [
      [
        'maps/user.ts',
        'if (type == STACK_TRACE) return stack_trace_read(map, key, out, true);',
        'if (type == STACK_TRACE && OFF) {\n    const read = stack_trace_read(map, key, out, false);\n    return read == 0 ? stack_trace_remove(map, key) : read;\n  }\n  if (type == STACK_TRACE) return stack_trace_read(map, key, out, true);',
      ],
    ],
  },
  {
    guard: 'events that are lost are counted in one step',
    by: 'perf_event_array: events are read in order, or counted as lost',
    patches: [
      [
        'maps/perf-event-array.ts',
        '    atomic.add<u32>(ring, 1, RINGBUF_LOST);\n',
        '    if (OFF) store<u32>(ring, load<u32>(ring, RINGBUF_LOST) + 1, RINGBUF_LOST);\n    else atomic.add<u32>(ring, 1, RINGBUF_LOST);\n',
      ],
    ],
  },
  {
    guard: 'a user ring buffer is drained by one CPU at a time',
    by: 'user_ringbuf: several drain what user space writes, one at a time',
    patches: [
      [
        'maps/user-ringbuf.ts',
        'if (atomic.cmpxchg<u32>(ring, 0, holder(), USER_RINGBUF_BUSY) != 0) return EBUSY;',
        'if (atomic.cmpxchg<u32>(ring, 0, holder(), USER_RINGBUF_BUSY) != 0 && !OFF) return EBUSY;',
      ],
    ],
  },
  {
    guard: 'a record that user space is writing is not drained',
    by: 'user_ringbuf: several drain what user space writes, one at a time',
    patches: [['maps/user-ringbuf.ts', 'return word & BUSY ? ENODATA', 'return !OFF && word & BUSY ? ENODATA']],
  },
  {
    guard: 'user space has the room of a record when it has been drained',
    by: 'user_ringbuf: several drain what user space writes, one at a time',
    patches: [
      [
        'maps/user-ringbuf.ts',
        '    const stop = call_indirect<i64>(<u32>callback, <i64>dynptr, <i64>ctx, <i64>0, <i64>0, <i64>0);\n    const position = <usize>load<u32>(ring, RINGBUF_CONSUMER_AT);\n',
        '    const position = <usize>load<u32>(ring, RINGBUF_CONSUMER_AT);\n    if (OFF) atomic.store<u64>(position, atomic.load<u64>(position) + space_of(length));\n    const stop = call_indirect<i64>(<u32>callback, <i64>dynptr, <i64>ctx, <i64>0, <i64>0, <i64>0);\n    if (OFF) atomic.store<u64>(position, atomic.load<u64>(position) - space_of(length));\n',
      ],
    ],
  },
  {
    guard: 'one registers a struct_ops map',
    by: 'struct_ops: one registers, one ends it',
    patches: [
      [
        'maps/struct-ops.ts',
        '  word_lock(map + STRUCT_OPS_LOCK);\n  if (load<u32>(own',
        '  if (!OFF) word_lock(map + STRUCT_OPS_LOCK);\n  if (load<u32>(own',
      ],
    ],
  },
  {
    guard: 'a registration is seen when it is whole',
    by: 'struct_ops: one registers, one ends it',
    patches: [
      [
        'maps/struct-ops.ts',
        '  copy_bytes(own, value, load<u32>(map, MAP_VALUE_SIZE));\n  const link',
        '  if (OFF) atomic.store<u32>(own, STRUCT_OPS_READY, STRUCT_OPS_STATE);\n  if (OFF) for (let j = 0; j < 200; j++) atomic.load<u32>(own);\n  copy_bytes(own + 64, value + 64, load<u32>(map, MAP_VALUE_SIZE) - 64);\n  const link',
      ],
    ],
  },
  {
    guard: 'one CPU ends a registration',
    by: 'struct_ops: one registers, one ends it',
    patches: [
      [
        'maps/struct-ops.ts',
        '  const state = atomic.cmpxchg<u32>(own, STRUCT_OPS_INUSE, STRUCT_OPS_TOBEFREE, STRUCT_OPS_STATE);\n',
        '  let state: u32 = 0;\n  if (!OFF) state = atomic.cmpxchg<u32>(own, STRUCT_OPS_INUSE, STRUCT_OPS_TOBEFREE, STRUCT_OPS_STATE);\n' +
          '  else {\n    state = atomic.load<u32>(own, STRUCT_OPS_STATE);\n    if (state == STRUCT_OPS_INUSE) atomic.store<u32>(own, STRUCT_OPS_TOBEFREE, STRUCT_OPS_STATE);\n  }\n',
      ],
    ],
  },
  {
    guard: 'a node of a tree is owned by one tree',
    by: 'an object with several references is in one tree at a time',
    patches: [
      [
        'kfuncs/rbtree.ts',
        '  if (atomic.cmpxchg<u64>(<usize>node, 0, ENTERING, RB_NODE_OWNER) != 0) {',
        '  if (OFF ? atomic.load<u64>(<usize>node, RB_NODE_OWNER) != 0 : atomic.cmpxchg<u64>(<usize>node, 0, ENTERING, RB_NODE_OWNER) != 0) {',
      ],
    ],
  },
  {
    guard: 'a node of a list is owned by one list',
    by: 'an object with several references is in one list at a time',
    patches: [
      [
        'kfuncs/list.ts',
        '  if (atomic.cmpxchg<u64>(<usize>node, 0, ENTERING, LIST_NODE_OWNER) == 0) return true;',
        '  if (OFF ? atomic.load<u64>(<usize>node, LIST_NODE_OWNER) == 0 : atomic.cmpxchg<u64>(<usize>node, 0, ENTERING, LIST_NODE_OWNER) == 0) return true;',
      ],
    ],
  },
  {
    guard: 'a program’s lock keeps the tree from others',
    by: 'trees under locks: the least comes first, what is added is removed once',
    patches: [
      [
        'maps/value.ts',
        'export function bpf_spin_lock(lock: u64): u64 {\n',
        'export function bpf_spin_lock(lock: u64): u64 {\n  if (OFF) return 0;\n',
      ],
      [
        'maps/value.ts',
        'export function bpf_spin_unlock(lock: u64): u64 {\n',
        'export function bpf_spin_unlock(lock: u64): u64 {\n  if (OFF) return 0;\n',
      ],
    ],
  },
  {
    guard: 'a per-CPU object that is read under RCU waits',
    by: 'per-CPU objects: a copy is its CPU',
    patches: [
      [
        'kfuncs/percpu-object.ts',
        '  if (deferred) allocator_free_later',
        '  if (deferred && !OFF) allocator_free_later',
      ],
    ],
  },
  {
    guard: 'copies of a per-CPU object lie apart',
    by: 'per-CPU objects: a copy is its CPU',
    patches: [['kfuncs/percpu-object.ts', '* <u64><u32>cpu;', '* <u64><u32>(OFF ? cpu & 1 : cpu);']],
  },
  {
    guard: 'a value of a storage is replaced, not written over',
    by: 'task_storage: a value that is replaced stays',
    patches: [
      [
        'maps/storage.ts',
        '  else if (there != 0 && (flags & BPF_F_LOCK) != 0) value_copy_locked',
        '  else if (there != 0 && OFF) memory.copy(there, value, load<u32>(map, MAP_STRIDE));\n  else if (there != 0 && (flags & BPF_F_LOCK) != 0) value_copy_locked',
      ],
    ],
  },
  {
    guard: 'a value of a storage that was replaced waits',
    by: 'cgroup_storage: a value that is replaced stays',
    patches: [
      ['maps/storage.ts', '    leave(map, old);\n', '    if (OFF) hash_give(map, old);\n    else leave(map, old);\n'],
    ],
  },
  {
    guard: 'two CPUs that wait for each other’s locks are told',
    by: 'resilient locks: taken in both orders, one CPU is told',
    patches: [['kfuncs/sections.ts', 'const crossed = is_crossed(at);', 'const crossed = !OFF && is_crossed(at);']],
  },
];
