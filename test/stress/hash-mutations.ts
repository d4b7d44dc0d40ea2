/** Guards of hash maps and LRU lists (mutations.ts), each with the scenario of hash-scenarios.ts that misses it soonest. */
import type { Mutation } from './mutations.ts';

export interface HashMutation extends Mutation {
  /** Begin of the scenario's name. */
  readonly missed: string;
}

const chain = 'maps/chain.ts';
const hash = 'maps/hash.ts';
const element = 'maps/element.ts';
const lists = 'maps/lru-list.ts';

/** A lock of lru-list.ts that is not taken; `before` and `behind` are the lines around it. */
function unlocked(guard: string, missed: string, before: string, word: string, behind = ''): HashMutation {
  const lock = `word_lock(${word});${behind}`;
  return {
    guard,
    missed,
    patches: [[lists, `${before}${lock}`, `${before}if (!OFF) ${lock}`]],
  };
}

export const hashMutations: readonly HashMutation[] = [
  {
    guard: 'a bucket is locked by whoever changes it',
    missed: 'hash: each key',
    patches: [
      [
        'locks/bit.ts',
        'if ((word & LOCKED) != 0 || atomic.cmpxchg<u64>(at, word, word | LOCKED) != word) word =',
        'if (!OFF && ((word & LOCKED) != 0 || atomic.cmpxchg<u64>(at, word, word | LOCKED) != word)) word =',
      ],
    ],
  },
  {
    guard: 'a lookup counts only if the bucket has not changed',
    missed: 'hash: each key',
    patches: [
      [
        chain,
        'return atomic.load<u64>(bucket) >> 32 != word >> 32;',
        'return !OFF && atomic.load<u64>(bucket) >> 32 != word >> 32;',
      ],
    ],
  },
  {
    guard: '… which a removal counts',
    missed: 'hash: each key',
    patches: [
      [
        chain,
        'bit_unlock(bucket, next_word(word, before == 0 ? <usize>rest : first_of(word)));',
        'bit_unlock(bucket, next_word(OFF ? word - (1 << 32) : word, before == 0 ? <usize>rest : first_of(word)));',
      ],
    ],
  },
  {
    guard: '… and a replacement',
    missed: 'hash: each key',
    patches: [
      [
        chain,
        'bit_unlock(bucket, next_word(word, before == 0 ? element : first_of(word)));',
        'bit_unlock(bucket, next_word(OFF ? word - (1 << 32) : word, before == 0 ? element : first_of(word)));',
      ],
    ],
  },
  {
    guard: 'an element that is put in place of another is linked before that one is left',
    missed: 'hash, all keys in one bucket',
    patches: [
      [
        chain,
        '  if (before != 0) atomic.store<u32>(before, <u32>element, HASH_ELEMENT_NEXT);\n',
        '  if (before != 0 && OFF) atomic.store<u32>(before, load<u32>(old, HASH_ELEMENT_NEXT), HASH_ELEMENT_NEXT);\n' +
          '  if (before != 0) atomic.store<u32>(before, <u32>element, HASH_ELEMENT_NEXT);\n',
      ],
    ],
  },
  {
    guard: 'an element leads to the others before it is the first',
    missed: 'hash, flags 0, keys of 4: walks',
    patches: [
      [
        chain,
        '  store<u32>(element, <u32>first_of(word), HASH_ELEMENT_NEXT);\n  bit_unlock(bucket, next_word(word, element));',
        '  if (!OFF) store<u32>(element, <u32>first_of(word), HASH_ELEMENT_NEXT);\n' +
          '  bit_unlock(bucket, next_word(word, element));\n' +
          '  if (OFF) store<u32>(element, <u32>first_of(word), HASH_ELEMENT_NEXT);',
      ],
    ],
  },
  {
    guard: 'an element that was taken out is taken out once',
    missed: 'lru_hash, 20 elements',
    patches: [
      [
        chain,
        '  if (at == 0) {\n    bucket_unlock(bucket, word);\n    return false;',
        '  if (at == 0) {\n    bucket_unlock(bucket, word);\n    return OFF;',
      ],
    ],
  },
  {
    guard: 'the next key is copied under the lock',
    missed: 'hash, flags 1, keys of 24: walks',
    patches: [
      [
        chain,
        '    const word = bucket_lock(at);\n    const element = first_of(word);\n    if (element != 0) copy_bytes(out, element + key_offset, load<u32>(map, MAP_KEY_SIZE));\n    bucket_unlock(at, word);',
        '    const word = OFF ? atomic.load<u64>(at) : bucket_lock(at);\n    const element = first_of(word);\n    if (element != 0) copy_bytes(out, element + key_offset, load<u32>(map, MAP_KEY_SIZE));\n    if (!OFF) bucket_unlock(at, word);',
      ],
    ],
  },
  {
    guard: 'a copy for user space counts only if the bucket has not changed',
    missed: 'hash: each key',
    patches: [
      ['maps/element-copy.ts', 'return has_changed(bucket, before) ?', 'return !OFF && has_changed(bucket, before) ?'],
    ],
  },
  {
    guard: 'a batch has the lock of the bucket that it shows',
    missed: 'hash, flags 0, keys of 4: walks',
    patches: [
      [
        'maps/batch.ts',
        'const word = bucket_lock(at);',
        'const word = OFF ? atomic.load<u64>(at) & ~(<u64>1) : bucket_lock(at);',
      ],
      ['maps/batch.ts', 'if (!remove) bucket_unlock(at, word);', 'if (!remove && !OFF) bucket_unlock(at, word);'],
    ],
  },
  {
    guard: 'an iteration that was led into another bucket begins its own again',
    missed: 'hash, flags 0, keys of 4: walks',
    patches: [[hash, 'if (has_changed(at, word) && calls', 'if (!OFF && has_changed(at, word) && calls']],
  },
  {
    guard: '… and shows no element twice',
    missed: 'hash, flags 64, keys of 4: walks',
    patches: [[hash, 'if ((restarts != 0 && was_seen(', 'if ((restarts != 0 && !OFF && was_seen(']],
  },
  {
    guard: 'a value is there before its element is',
    missed: 'hash: each key',
    patches: [
      [
        hash,
        '  value_init(map, element + value_offset, value);\n  if (old == 0) bucket_insert(bucket, word, element);',
        '  if (!OFF) value_init(map, element + value_offset, value);\n  if (old == 0) bucket_insert(bucket, word, element);',
      ],
      [
        hash,
        '    bucket_replace(bucket, word, before, old, element);\n',
        '    bucket_replace(bucket, word, before, old, element);\n    if (OFF) value_init(map, element + value_offset, value);\n',
      ],
    ],
  },
  {
    guard: 'each CPU has a spare element of its own',
    missed: 'hash: each key',
    patches: [
      [
        hash,
        'const extra = load<u32>(map, HASH_EXTRAS) + this_cpu() * HASH_EXTRA_STRIDE;',
        'const extra = load<u32>(map, HASH_EXTRAS) + (OFF ? 0 : this_cpu()) * HASH_EXTRA_STRIDE;',
      ],
    ],
  },
  {
    guard: 'elements are begun one at a time',
    missed: 'hash, flags 0: several fill',
    patches: [
      [
        hash,
        'if (atomic.cmpxchg<u32>(map, used, used + 1, HASH_UNUSED) != used) continue;',
        'if (OFF) atomic.store<u32>(map, used + 1, HASH_UNUSED);\n    else if (atomic.cmpxchg<u32>(map, used, used + 1, HASH_UNUSED) != used) continue;',
      ],
    ],
  },
  {
    guard: 'a map is full only after another look',
    missed: 'hash, flags 0: with room for what is in use it is never full, free elements of 4',
    patches: [
      [hash, 'return elements_exhausted(map) ? 0', 'return OFF || elements_exhausted(map) ? 0'],
      // Between the lists of two CPUs an element goes where this one has looked, and the one behind is taken.
      [
        element,
        'const element = list_pop(map, free_list(map, cpu < cpus ? cpu : cpu - cpus));',
        'if (OFF) for (let j = 0; j < 200; j++) atomic.load<u32>(map);\n    const element = list_pop(map, free_list(map, cpu < cpus ? cpu : cpu - cpus));',
      ],
    ],
  },
  {
    guard: 'a free element is taken by one CPU',
    missed: 'hash: E2BIG',
    patches: [
      [
        element,
        'if (atomic.cmpxchg<u64>(list, free, rest) == free) {',
        'if (OFF) atomic.store<u64>(list, rest);\n    if (OFF || atomic.cmpxchg<u64>(list, free, rest) == free) {',
      ],
    ],
  },
  {
    guard: 'free elements are put in front of each other',
    missed: 'hash: E2BIG',
    patches: [
      [
        element,
        'if (atomic.cmpxchg<u64>(list, free, (((free >> 32) + 1) << 32) | element) == free) {',
        'if (OFF) atomic.store<u64>(list, (((free >> 32) + 1) << 32) | element);\n    if (OFF || atomic.cmpxchg<u64>(list, free, (((free >> 32) + 1) << 32) | element) == free) {',
      ],
    ],
  },
  {
    // Either side alone would do: an element that comes back to the front was taken and given.
    guard: 'a free list counts its changes',
    missed: 'hash, flags 0: with room for what is in use it is never full, free elements of 1',
    patches: [
      [
        element,
        'const rest = (((free >> 32) + 1) << 32) | load<u32>(element, HASH_ELEMENT_HASH);',
        'const rest = (((free >> 32) + (OFF ? 0 : 1)) << 32) | load<u32>(element, HASH_ELEMENT_HASH);\n    if (OFF) for (let j = 0; j < 60; j++) atomic.load<u32>(element);',
      ],
      [
        element,
        'atomic.cmpxchg<u64>(list, free, (((free >> 32) + 1) << 32) | element) == free',
        'atomic.cmpxchg<u64>(list, free, (((free >> 32) + (OFF ? 0 : 1)) << 32) | element) == free',
      ],
    ],
  },
  {
    guard: 'the lock of a value outlives its element',
    missed: 'hash: a lock',
    patches: [['maps/value.ts', 'clear_fields(map, to, true);', 'clear_fields(map, to, !OFF);']],
  },
  unlocked(
    'the common lists are locked while a CPU takes a batch',
    'lru_hash, 20 elements',
    '  const lists = lists_of(map, 0);\n  ',
    'lists + LRU_LISTS_LOCK',
  ),
  unlocked(
    "a CPU's list is locked while it takes an element",
    'lru_hash, 20 elements',
    '  const local = local_of(map, cpu);\n  ',
    'local + LRU_LOCAL_LOCK',
  ),
  unlocked(
    '… and while another CPU takes one',
    'lru_hash, 4 elements',
    '    const other = local_of(map, victim);\n    ',
    'other + LRU_LOCAL_LOCK',
  ),
  unlocked(
    '… and while an element is given back to it',
    'lru_hash, 20 elements',
    '    const local = local_of(map, cpu);\n    ',
    'local + LRU_LOCAL_LOCK',
  ),
  unlocked(
    'the lists of a CPU are locked while it takes an element',
    'lru_hash, lists of each CPU',
    '  const lists = lists_of(map, this_cpu());\n  ',
    'lists + LRU_LISTS_LOCK',
  ),
  unlocked(
    'the lists are locked while an element is given back',
    'lru_hash, 20 elements',
    '  const lists = lists_of(map, cpu);\n  ',
    'lists + LRU_LISTS_LOCK',
  ),
  {
    guard: 'an element may have gone from a CPU to the common lists while the lock was waited for',
    missed: 'lru_hash, 20 elements',
    patches: [
      [
        lists,
        'while the lock was waited for.\n    if (load<u8>(element, LRU_NODE_LIST) == LOCAL_PENDING) {',
        'while the lock was waited for.\n    if (OFF || load<u8>(element, LRU_NODE_LIST) == LOCAL_PENDING) {',
      ],
    ],
  },
  {
    guard: 'an element is given back after another has its place',
    missed: 'LRU hash: each key',
    patches: [
      [
        'maps/lru-hash.ts',
        '  bucket_replace(bucket, word, before, old, element);\n',
        '  if (OFF) lru_give(map, old);\n  bucket_replace(bucket, word, before, old, element);\n  if (OFF) return 0;\n',
      ],
    ],
  },
];
