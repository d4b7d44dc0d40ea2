// What is broken on purpose, one at a time, to see that the fuzzer finds it: a line of src/verifier and what stands there instead.
export const mutations = [
  {
    name: 'map bounds one byte too wide',
    file: 'memory/memory.ts',
    from: '(size === 0 && zeroAllowed)) && off + size <= objectSize) return;',
    to: '(size === 0 && zeroAllowed)) && off + size <= objectSize + 1) return;',
  },
  {
    name: 'packet range one byte too long',
    file: 'jump.ts',
    from: 'const range = open ? off + 1 : off;',
    to: 'const range = off + 1;',
  },
  {
    name: 'tnum multiplication loses unknown bits',
    file: 'assembly/tnum.ts',
    from: 'const unknown = (sumV ^ value) | sumM | mask;',
    to: 'const unknown = (sumV ^ value) | sumM;',
  },
  {
    name: 'shift left keeps its range when bits fall out',
    file: 'assembly/alu.ts',
    from: 'if (by > 31 || <u64>umax32(d) > (1 as u64) << (31 - by)) b.setU32(d, 0, u32.MAX_VALUE);',
    to: 'if (by > 31) b.setU32(d, 0, u32.MAX_VALUE);',
  },
  {
    name: 'arithmetic shift keeps unsigned bits',
    file: 'assembly/alu.ts',
    from: 'b.setBits(d, (<i64>v) >> by, (<i64>m) >> by);',
    to: 'b.setBits(d, v >> by, m >> by);',
  },
  {
    name: 'sign extension as zero extension',
    file: 'assembly/bounds.ts',
    from: 'const least = (<i64>-1) << (bits - 1);',
    to: 'const least: i64 = 0;',
  },
  {
    name: 'JLT refines as if it were less by one more',
    file: 'assembly/branch.ts',
    from: 'b.setU(a, umin(a), min(umax(a), umax(c) - 1));',
    to: 'b.setU(a, umin(a), min(umax(a), umax(c) - 2));',
  },
  {
    name: 'signed comparison inverted without its edge',
    file: 'assembly/branch.ts',
    from: 'case JSGT: return JSLE;\n    case JSGE: return JSLT;\n    case JSLT',
    to: 'case JSGT: return JSLT;\n    case JSGE: return JSLT;\n    case JSLT',
  },
  {
    name: 'pointers are not NULL before they are checked',
    file: 'calls/helper-call.ts',
    from: 'pointer(k.MAP_VALUE, never ? 0 : k.MAYBE_NULL, facts.mapIndex);',
    to: 'pointer(k.MAP_VALUE, 0, facts.mapIndex);',
  },
  {
    name: 'a NULL check of one pointer is taken for all',
    file: 'jump.ts',
    from: 'if (idOf(r) !== id || (flagsOf(r) & k.MAYBE_NULL) === 0 || kindOf(r) === k.SCALAR) return;',
    to: 'if ((flagsOf(r) & k.MAYBE_NULL) === 0 || kindOf(r) === k.SCALAR) return;',
  },
  {
    name: 'variable packet offsets keep their range',
    file: 'alu.ts',
    from: 'if (!subtract || negative) set(d, AUX, 0);',
    to: '',
  },
  {
    name: 'packet pointers outlive a helper that moves the packet',
    file: 'calls/helper-call.ts',
    from: 'if (k.isPacket(kindOf(r)) || (kindOf(r)',
    to: 'if ((kindOf(r)',
  },
  {
    name: 'precision is not followed through registers',
    file: 'states/precision.ts',
    from: 'else if (operation !== 0xd0 && operation !== 0x80 && (opcode & 8) !== 0) registers[depth] = mask | s;',
    to: '',
  },
  {
    name: 'precision is lost at stack slots',
    file: 'states/precision.ts',
    from: 'if ((opcode & 7) === CLASS.STX) registers[depth]! |= s;',
    to: '',
  },
  {
    name: 'every scalar is covered by every other',
    file: 'states/equal.ts',
    from: "if (comparison === 'covered' && data[at + PRECISE / 4] === 0) return true;",
    to: "if (comparison === 'covered') return true;",
  },
  {
    name: 'linked registers are not told apart when states are compared',
    file: 'states/equal.ts',
    from: 'return holds(data, at, r) && scalarIdsMatch(data[at + W.id]!, words[there + W.id]!);',
    to: 'return holds(data, at, r);',
  },
  {
    name: 'a shorter packet range covers a longer one and the other way round',
    file: 'states/equal.ts',
    from: 'if (aux > nowAux || (aux < 0 && aux !== nowAux)) return false;',
    to: '',
  },
  {
    name: 'a saved number survives a partial overwrite',
    file: 'memory/stack.ts',
    from: 'for (let i = 0; i < size; i++) bytes[r + BYTES + ((byte - i) & 7)] = type;',
    to: '',
  },
  {
    name: 'a variable write leaves saved numbers as they were',
    file: 'memory/stack.ts',
    from: `      scrub(r);
      clearRecord(r);
    } else if (spilled(r)) {`,
    to: `    } else if (spilled(r)) {`,
  },
  {
    name: 'narrow loads of saved numbers keep the whole value',
    file: 'memory/stack.ts',
    from: '  arithmetic.signExtend(r, size * 8);\n',
    to: '',
  },
];
