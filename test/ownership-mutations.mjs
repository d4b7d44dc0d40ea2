// Rules of ownership, each with what switches it off: places in src/verifier, and what stands there instead, where OFF is true while the rule is off.
// The programs (test/objects/ownership-mistakes.bpf.c) break that rule alone.
export const mutations = [
  {
    rule: 'what was acquired is released before the end',
    programs: ['leak', 'leak_in_callback'],
    patches: [['resources/critical-section.ts', 'if (held.length > 0)', 'if (held.length > 0 && !OFF)']],
  },
  {
    rule: 'what a call acquires is owned: bpf_rbtree_remove',
    programs: ['leak_by_remove'],
    patches: [
      [
        'calls/kfunc-call.ts',
        "if (!hasFlag(facts, 'acquire')) {",
        "if ((OFF && facts.name === 'bpf_rbtree_remove') || !hasFlag(facts, 'acquire')) {",
      ],
    ],
  },
  {
    rule: 'what bpf_kptr_xchg gives is owned',
    programs: ['leak_of_exchange'],
    patches: [
      [
        'calls/helper-call.ts',
        'const acquires = prototype.acquires === true ||',
        'const acquires = (prototype.acquires === true && !OFF) ||',
      ],
    ],
  },
  {
    rule: 'pointers that may be NULL are compared first',
    programs: ['unchecked'],
    patches: [
      [
        'calls/kfunc-call.ts',
        "const orNull = hasFlag(facts, 'ret_null')",
        "const orNull = !OFF && hasFlag(facts, 'ret_null')",
      ],
    ],
  },
  {
    rule: 'a pointer is given back as it was given',
    programs: ['drop_inside'],
    patches: [
      ['calls/kfunc-btf.ts', 'if (offsetOf(r) !== 0)', 'if (offsetOf(r) !== 0 && !OFF)'],
      ['calls/kfunc-btf.ts', 'checkPlain(v, number, r, false);', 'checkPlain(v, number, r, OFF);'],
    ],
  },
  {
    rule: 'after the release, no copy is a pointer',
    programs: ['use_after_drop'],
    patches: [
      [
        'calls/helper-call.ts',
        'v.state.forgetReference(reference, (r) => makeUnknown(r));',
        'v.state.forgetReference(reference, (r) => { if (!OFF) makeUnknown(r); });',
      ],
    ],
  },
  {
    rule: 'a reference is released once',
    programs: ['drop_twice'],
    patches: [
      [
        'calls/helper-call.ts',
        'v.state.forgetReference(reference, (r) => makeUnknown(r));',
        'v.state.forgetReference(reference, (r) => { if (!OFF) makeUnknown(r); });',
      ],
      [
        'calls/helper-call.ts',
        'if (!v.state.references.some(({ id }) => id === reference))',
        'if (!OFF && !v.state.references.some(({ id }) => id === reference))',
      ],
    ],
  },
  {
    rule: 'only owners give back',
    programs: ['drop_of_loaded'],
    patches: [
      [
        'calls/kfunc-btf.ts',
        'if (kindOf(r) === k.BTF_ID && flags === k.ALLOC) {',
        'if (kindOf(r) === k.BTF_ID && (flags === k.ALLOC || OFF)) {',
      ],
      ['calls/kfunc-btf.ts', 'if (!isTrusted(r)) refuse(', 'if (!isTrusted(r) && !OFF) refuse('],
      [
        'calls/kfunc-btf.ts',
        "if (referenceOf(r) === 0) refuse('allocated object",
        "if (referenceOf(r) === 0 && !OFF) refuse('allocated object",
      ],
      [
        'calls/kfunc-arguments.ts',
        "if (hasFlag(facts, 'release') && facts.released === 0)",
        "if (!OFF && hasFlag(facts, 'release') && facts.released === 0)",
      ],
    ],
  },
  {
    rule: 'fields that the kernel manages are not touched: in objects',
    programs: ['write_count', 'write_link'],
    patches: [['memory/btf-pointer.ts', 'if (alloc)\n    for', 'if (alloc && !OFF)\n    for']],
  },
  {
    rule: 'fields that the kernel manages are not touched: in map values',
    programs: ['write_head'],
    patches: [
      [
        'memory/memory.ts',
        'if (from < field.offset + field.size && field.offset < to) {',
        'if (!OFF && from < field.offset + field.size && field.offset < to) {',
      ],
    ],
  },
  {
    rule: 'pointers in objects are numbers',
    programs: ['follow_pointer'],
    patches: [['memory/btf-pointer.ts', 'if (alloc) break;', 'if (alloc && !OFF) break;']],
  },
  {
    rule: 'owned pointers in maps are not overwritten',
    programs: ['overwrite_kptr'],
    patches: [
      [
        'resources/kptr.ts',
        "if (kind !== CLASS.LDX && (how === 'owned' || how === 'percpu'))",
        "if (!OFF && kind !== CLASS.LDX && (how === 'owned' || how === 'percpu'))",
      ],
    ],
  },
  {
    rule: 'helpers do not write to owned pointers in maps',
    programs: ['write_indirectly'],
    patches: [['memory/memory.ts', 'if (!direct) refuse', 'if (!direct && !OFF) refuse']],
  },
  {
    rule: 'a field holds objects of its type',
    programs: ['exchange_wrong_type'],
    patches: [['resources/kptr.ts', 'if (structMatches(', 'if (OFF || structMatches(']],
  },
  {
    rule: 'an exchange is of a field, not of bytes in it',
    programs: ['exchange_inside'],
    patches: [
      [
        'resources/kptr.ts',
        'kptrs.find(({ offset }) => offset === at)',
        'kptrs.find(({ offset }) => OFF || offset === at)',
      ],
    ],
  },
  {
    rule: 'what is in a list is not owned any more',
    programs: ['keep_after_push'],
    patches: [
      [
        'resources/ownership.ts',
        'if (referenceOf(r) !== reference) return;',
        'if (OFF || referenceOf(r) !== reference) return;',
      ],
      [
        'resources/ownership.ts',
        'v.state.references = v.state.references.filter(({ id }) => id !== reference);',
        'if (!OFF) v.state.references = v.state.references.filter(({ id }) => id !== reference);',
      ],
    ],
  },
  {
    rule: 'what is in a tree is not added once more',
    // What the next run finds is a tree that goes round for ever.
    runs: 1,
    programs: ['add_twice'],
    patches: [
      [
        'resources/ownership.ts',
        'if (referenceOf(r) !== reference) return;',
        'if (OFF || referenceOf(r) !== reference) return;',
      ],
    ],
  },
  {
    rule: 'pointers into lists and trees end with the lock',
    programs: ['use_after_unlock'],
    patches: [
      [
        'resources/ownership.ts',
        '=== (k.ALLOC | k.NON_OWNING)) makeUnknown(r);',
        '=== (k.ALLOC | k.NON_OWNING) && !OFF) makeUnknown(r);',
      ],
    ],
  },
  {
    rule: 'a list takes what it contains',
    programs: ['push_wrong_type'],
    patches: [
      [
        'resources/graph.ts',
        'if (btfOf(v, r) !== v.btf || auxOf(r) !== graph.struct)',
        'if (!OFF && (btfOf(v, r) !== v.btf || auxOf(r) !== graph.struct))',
      ],
      ['resources/graph.ts', 'if (at !== graph.offset)', 'if (!OFF && at !== graph.offset)'],
    ],
  },
  {
    rule: 'one lock at a time',
    unseen: 'on one CPU a lock guards against nobody',
    programs: ['lock_twice'],
    patches: [
      [
        'resources/spin-lock.ts',
        'if (v.state.locks.length === 0) return;',
        'if (OFF || v.state.locks.length === 0) return;',
      ],
      [
        'resources/spin-lock.ts',
        "if (locks.some(({ kind }) => kind === 'spin'))",
        "if (!OFF && locks.some(({ kind }) => kind === 'spin'))",
      ],
    ],
  },
  {
    rule: 'one call gives back one type, or types that can be told apart',
    unseen: 'the loader makes such a call choose by size, and these runs saw no harm',
    programs: ['drop_of_either'],
    patches: [['resources/provenance.ts', 'const fine =\n', 'const fine =\n    OFF ||\n']],
  },
  {
    rule: 'paths are taken for one only where they own the same',
    programs: ['leak_on_one_path'],
    patches: [
      [
        'states/equal.ts',
        'if (old.references.length !== state.references.length) return false;',
        'if (old.references.length > state.references.length || (old.references.length !== state.references.length && !OFF)) return false;',
      ],
    ],
  },
];
