/** What to change so that a refused program is accepted: which check, where, in C. */
import { helperName } from '../abi/helpers/index.ts';
import type { ProgramTypeName } from '../abi/program-types.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import { CALL_SOURCE, CLASS, OPCODE } from '../isa/opcodes.ts';
import type { LineInfo, MapSpec, ProgramSpec } from '../object/spec.ts';
import type { Diagnostic } from './diagnostic.ts';
import * as k from './kinds.ts';
import type { Node } from './recorder.ts';
import type { SliceStep } from './slice.ts';
import { type Fields, fieldsOf, numberText } from './value-text.ts';

/** Everything that is known of a refusal. */
export interface Refused {
  readonly program: ProgramSpec;
  readonly maps: readonly MapSpec[];
  readonly diagnostic: Diagnostic;
  readonly slot: number;
  readonly node: Node;
  readonly steps: readonly SliceStep[];
  /** The register that failed, and what was known of it. */
  readonly register: number | undefined;
  readonly fields: Fields | undefined;
}

export interface Advice {
  /** In plain words; takes the place of the diagnostic's reason. */
  readonly reason?: string;
  /** What is known, and what the access needs: `14 bytes from the start of the packet`. */
  readonly proven?: string;
  readonly needed?: string;
  readonly suggestion?: string;
}

/** What a program of the type returns when it gives up. */
function giveUp(type: ProgramTypeName | undefined): string {
  if (type === 'xdp') return 'return XDP_DROP;';
  if (type === 'sched_cls' || type === 'sched_act') return 'return TC_ACT_SHOT;';
  if (type === 'sk_lookup') return 'return SK_PASS;';
  return 'return 0;';
}

/** `line 12 (program.c)` of an instruction, or its number. */
export function placeOf(program: ProgramSpec, slot: number): string {
  const line = lineOf(program, slot);
  return line === undefined ? `insn ${slot}` : `line ${line.line} (insn ${slot})`;
}
export function lineOf(program: ProgramSpec, slot: number): LineInfo | undefined {
  const found = program.lines.findLast((line) => line.slot <= slot);
  return found === undefined || found.line === 0 ? undefined : found;
}

function helperAt(program: ProgramSpec, slot: number): string | undefined {
  const insn = program.insns[slot];
  if (insn === undefined || insn.opcode !== OPCODE.CALL || insn.src !== CALL_SOURCE.HELPER) return undefined;
  const name = helperName(insn.imm);
  return name === undefined ? undefined : `bpf_${name.replace(/^bpf_/, '')}`;
}

/** Offset from the pointer and size that the problem speaks of. */
function access({ diagnostic, program, slot, fields }: Refused): { off: number; size: number } | undefined {
  const [, off, size] = /\boff=(-?\d+) size=(\d+)/.exec(diagnostic.problem) ?? [];
  if (off !== undefined) return { off: Number(off), size: Number(size) };
  const insn = program.insns[slot]!;
  const kind = insn.opcode & 7;
  if (kind !== CLASS.LDX && kind !== CLASS.ST && kind !== CLASS.STX) return undefined;
  return { off: insn.off + (fields?.offset ?? 0), size: [4, 2, 1, 8][(insn.opcode >> 3) & 3]! };
}

const plural = (count: number | bigint, word: string) => `${count} ${word}${count === 1 || count === 1n ? '' : 's'}`;

export function advise(refused: Refused): Advice {
  const { diagnostic, fields } = refused;
  switch (diagnostic.id) {
    case 'out-of-bounds':
    case 'negative-offset':
    case 'unbounded-offset':
      if (fields === undefined) return {};
      if (fields.kind === k.PACKET || fields.kind === k.PACKET_META) return packet(refused, fields);
      return object(refused, fields);
    case 'stack-out-of-bounds':
    case 'stack-unbounded':
      return stack(refused, fields);
    case 'invalid-pointer':
      return pointer(refused, fields);
    case 'uninitialised-register':
      return uninitialised(refused);
    case 'reference-leak':
      return leak(refused);
    case 'pointer-arithmetic':
      return arithmetic(refused, fields);
    case 'offset-too-large':
      return {
        ...(fields === undefined ? {} : { proven: `the offset is ${numberText(fields)}` }),
        needed: 'an offset between -2^29 and 2^29',
        suggestion:
          'bound the number before it is added to the pointer: `if (off > 1500) ' +
          `${giveUp(refused.program.type)}\`, or \`off &= 0x7ff;\` on the same variable that is added`,
      };
    case 'result':
    case 'callback-result':
      return result(refused, fields);
    case 'helper-not-allowed':
      return helper(refused);
    case 'size-negative':
    case 'size-unbounded':
    case 'size-zero':
      return size(refused, fields);
    default:
      return plain(refused);
  }
}

function packet(refused: Refused, fields: Fields): Advice {
  const { program, steps } = refused;
  const found = access(refused);
  if (found === undefined) return {};
  const { off, size } = found;
  const end = giveUp(program.type);
  const bytes = off + size;
  const meta = fields.kind === k.PACKET_META;
  const start = meta ? 'data_meta' : 'data';
  const limit = meta ? 'data' : 'data_end';
  if (fields.constant && off < 0)
    return {
      needed: `an offset from 0 up`,
      proven: `the offset is ${off}`,
      suggestion: `programs may not read before \`${start}\`: correct the offset, or make room with bpf_xdp_adjust_head first`,
    };
  if (fields.smin < 0n)
    return {
      needed: 'an offset from 0 up',
      proven: `the offset is ${numberText(fields)}`,
      suggestion: `make the offset unsigned, or check \`if (off < 0) ${end}\` before it is added to the pointer`,
    };
  const variable = !fields.constant;
  const checks = steps.filter(({ role, node, slot }) => {
    const insn = program.insns[slot]!;
    return (
      (role === 'proof' || role === 'no-proof') &&
      (insn.opcode & 8) !== 0 &&
      [insn.dst, insn.src].every((r) => k.isPacket(fieldsOf(node.frames.at(-1)!.data, r * 32).kind))
    );
  });
  const check = checks.at(-1);
  const where = placeOf(program, refused.slot);
  const what = variable ? '(void *)p' : start;
  const condition = `if (${what} + ${bytes} > ${limit}) ${end}`;
  const base: Advice = {
    needed: `${plural(bytes, 'byte')} from ${variable ? 'the pointer (its variable offset comes on top)' : `the start of the ${meta ? 'metadata' : 'packet'}`}: the access is to ${size === 1 ? `byte ${off}` : `bytes ${off} to ${bytes - 1}`}`,
    proven:
      fields.aux > 0
        ? plural(fields.aux, 'byte')
        : fields.aux < 0
          ? 'on this path the pointer is at or beyond the end'
          : 'none: no comparison of this pointer with the end of the packet on this path',
  };
  if (fields.aux < 0)
    return {
      ...base,
      suggestion: `the comparison at ${check === undefined ? where : placeOf(program, check.slot)} goes the other way: read where \`${what} + ${bytes} <= ${limit}\``,
    };
  if (fields.aux > 0 && check !== undefined)
    return {
      ...base,
      suggestion: `the check at ${placeOf(program, check.slot)} proves ${plural(fields.aux, 'byte')}; make it \`${condition}\``,
    };
  if (variable && fields.umax + BigInt(fields.offset) > 0xffffn)
    return {
      ...base,
      reason: `The variable part of the offset is ${numberText(fields)}; comparisons prove nothing for packet pointers that may be more than 65535 bytes in.`,
      suggestion: `bound the offset first (\`if (off > 1500) ${end}\`), then compare: \`${condition}\``,
    };
  const beyond = check?.registers.some((r) => {
    const data = check.after?.frames.at(-1)?.data;
    return data !== undefined && fieldsOf(data, r * 32).kind === fields.kind && fieldsOf(data, r * 32).aux < 0;
  });
  if (check !== undefined && beyond === true)
    return {
      ...base,
      reason: `On this path the check at ${placeOf(program, check.slot)} found that the bytes are not there.`,
      suggestion: `this is the path on which the check at ${placeOf(program, check.slot)} failed: leave on it (\`${condition}\`), and read on the other`,
    };
  if (check !== undefined)
    return {
      ...base,
      suggestion: `the check at ${placeOf(program, check.slot)} is of another pointer, or proves nothing here; compare the pointer that is read through, just before ${where}: \`${condition}\``,
    };
  return { ...base, suggestion: `before ${where} add \`${condition}\`` };
}

function object(refused: Refused, fields: Fields): Advice {
  const { program, maps, diagnostic } = refused;
  const found = access(refused);
  const isMap = fields.kind === k.MAP_VALUE;
  const map = maps[fields.aux];
  const all = isMap
    ? map?.valueSize
    : fields.kind === k.MAP_KEY
      ? map?.keySize
      : fields.kind === k.MEM
        ? fields.aux
        : undefined;
  if (found === undefined || all === undefined) return {};
  const insn = program.insns[refused.slot]!;
  const helper = helperAt(program, refused.slot);
  const size = found.size;
  const off = fields.offset + (helper === undefined ? insn.off : 0);
  const name = isMap ? `value of map ${map?.name}` : fields.kind === k.MAP_KEY ? `key of map ${map?.name}` : 'memory';
  const most = all - size - off;
  const end = giveUp(program.type);
  if (fields.constant)
    return {
      needed: `${off + Number(fields.value) + size} bytes: the access is to bytes ${off + Number(fields.value)} to ${off + Number(fields.value) + size - 1}`,
      proven: `the ${name} has ${plural(all, 'byte')}`,
      suggestion:
        helper === undefined
          ? `the offset is outside of the ${name}: correct it, or make the ${isMap ? 'value type of the map' : 'memory'} at least ${off + Number(fields.value) + size} bytes`
          : `give ${helper} a size of at most ${all - off - Number(fields.value)}`,
    };
  const index = `the variable offset is ${numberText(fields)}`;
  const needed = `at most ${most} for the variable offset: ${plural(size, 'byte')} at constant offset ${off} of the ${name} with ${plural(all, 'byte')}`;
  if (diagnostic.id === 'negative-offset' || fields.smin < 0n)
    return {
      needed: `an offset from 0 to ${most}`,
      proven: index,
      suggestion: `make the index unsigned, or check both sides before ${placeOf(program, refused.slot)}: \`if (i < 0 || i > ${most}) ${end}\` (i in bytes)`,
    };
  const power = 2 ** Math.floor(Math.log2(Math.max(1, most + 1))) - 1;
  return {
    needed,
    proven: index,
    suggestion: `before ${placeOf(program, refused.slot)} add \`if (i > ${most}) ${end}\`${power > 0 ? ` or \`i &= 0x${power.toString(16)};\`` : ''} (i in bytes), on the variable itself and after its last change`,
  };
}

function stack(refused: Refused, fields: Fields | undefined): Advice {
  const { program } = refused;
  const found = access(refused);
  const size = found?.size ?? 1;
  if (fields === undefined || fields.kind !== k.STACK) return {};
  if (fields.constant)
    return {
      needed: 'offsets from -512 to -1',
      proven: `offset ${found?.off ?? fields.offset + Number(fields.value)}`,
      suggestion:
        'a function has 512 bytes of stack: move large variables to a per-CPU array map, or pass a smaller size',
    };
  const length = -(fields.offset + program.insns[refused.slot]!.off);
  return {
    needed: `a variable offset from 0 to ${Math.max(0, length - size)}`,
    proven: `the variable offset is ${numberText(fields)}`,
    suggestion: `check the index before ${placeOf(program, refused.slot)}: \`if (i > ${Math.max(0, length - size)}) ${giveUp(program.type)}\` (i in bytes)`,
  };
}

function pointer(refused: Refused, fields: Fields | undefined): Advice {
  const { program, steps } = refused;
  if (fields === undefined) return {};
  const end = giveUp(program.type);
  const place = placeOf(program, refused.slot);
  if ((fields.flags & k.MAYBE_NULL) !== 0) {
    const source = steps.find(({ role, slot }) => role === 'value' && helperAt(program, slot) !== undefined);
    const from =
      source === undefined ? 'the call' : `${helperAt(program, source.slot)} at ${placeOf(program, source.slot)}`;
    return {
      reason: `${from} returns NULL where there is nothing to point to, and on this path nothing has compared the pointer with NULL.`,
      proven: 'the pointer, or NULL',
      needed: 'a pointer that is not NULL',
      suggestion: `between ${source === undefined ? 'the call' : placeOf(program, source.slot)} and ${place} add \`if (!p) ${end}\``,
    };
  }
  if (fields.kind !== k.SCALAR) return {};
  const loss = steps.find(({ role }) => role === 'loss');
  if (loss !== undefined) {
    const helper = helperAt(program, loss.slot) ?? 'the call';
    return {
      reason: `${helper} at ${placeOf(program, loss.slot)} may move the packet, so pointers into it from before are void.`,
      needed: 'a pointer made after that call',
      proven: 'a number that was a pointer once',
      suggestion: `after ${helper} read \`data\` and \`data_end\` from the context again, and repeat the check`,
    };
  }
  const zero = fields.constant && fields.value === 0n;
  return {
    reason: zero
      ? 'On this path the pointer is NULL.'
      : `The register holds a number (${numberText(fields)}), not a pointer.`,
    proven: `a number: ${numberText(fields)}`,
    needed: 'a pointer',
    suggestion: zero
      ? `do not use the pointer on the path where it is NULL: \`if (!p) ${end}\``
      : 'use the pointer as it was given; the value of a pointer that went through memory in parts, 32-bit or bitwise arithmetic is lost. Kernel memory is read with bpf_probe_read_kernel()',
  };
}

function uninitialised(refused: Refused): Advice {
  const { program, steps, register, slot } = refused;
  const loss = steps.findLast(({ role, registers }) => role === 'loss' && registers.includes(register ?? -1));
  if (loss !== undefined)
    return {
      reason: `The call at ${placeOf(program, loss.slot)} overwrote R${register}: calls leave nothing in R1 to R5.`,
      suggestion: `keep the value in R6 to R9, or on the stack, over the call at ${placeOf(program, loss.slot)}`,
    };
  const atExit = program.insns[slot]?.opcode === OPCODE.EXIT;
  return {
    suggestion: atExit
      ? 'return a value on every path'
      : `give R${register} a value on every path that leads to ${placeOf(program, slot)} (in C: initialise the variable where it is declared)`,
  };
}

function leak(refused: Refused): Advice {
  const { program, diagnostic } = refused;
  const [, at] = /alloc_insn=(\d+)/.exec(diagnostic.problem) ?? [];
  if (at === undefined) return {};
  const slot = Number(at);
  const helper = helperAt(program, slot) ?? '';
  const release = /ringbuf_reserve_dynptr/.test(helper)
    ? 'bpf_ringbuf_discard_dynptr(&ptr, 0);` or `bpf_ringbuf_submit_dynptr(&ptr, 0);'
    : /ringbuf_reserve/.test(helper)
      ? 'bpf_ringbuf_discard(p, 0);` or `bpf_ringbuf_submit(p, 0);'
      : /sk|sock/.test(helper)
        ? 'bpf_sk_release(sk);'
        : undefined;
  return {
    reason: `What ${helper === '' ? 'was acquired' : `${helper} gave`} at ${placeOf(program, slot)} is still held where this path ends.`,
    needed: 'every reference released on every path',
    proven: `one is held since ${placeOf(program, slot)}`,
    suggestion:
      release === undefined
        ? `release it before ${placeOf(program, refused.slot)}`
        : `before ${placeOf(program, refused.slot)}, on the path that is shown, add \`${release}\``,
  };
}

function arithmetic(refused: Refused, fields: Fields | undefined): Advice {
  if (/null-check it first/.test(refused.diagnostic.problem))
    return {
      reason: 'The pointer may be NULL, and NULL plus an offset would pass for a pointer.',
      suggestion: `before ${placeOf(refused.program, refused.slot)} add \`if (!p) ${giveUp(refused.program.type)}\``,
    };
  if (fields?.kind === k.PACKET_END)
    return { suggestion: 'do arithmetic on `data` and compare it with `data_end`, not the other way round' };
  return {
    suggestion:
      'add only bounded numbers to pointers, with 64-bit arithmetic; to compute with addresses, copy them to numbers first',
  };
}

function result(refused: Refused, fields: Fields | undefined): Advice {
  const [, least, most] = /in \[(-?\d+), (-?\d+)\]/.exec(refused.diagnostic.problem) ?? [];
  if (least === undefined || fields === undefined) return {};
  const what = fields.kind === k.SCALAR ? numberText(fields) : k.kindName(fields.kind, fields.flags);
  return {
    proven: `R0 is ${what}`,
    needed: `a number from ${least} to ${most}`,
    suggestion:
      least === '0' && most === '1'
        ? 'return 0 or 1: `return ret != 0;`'
        : `bring the result into the range before the return: \`if (ret < ${least} || ret > ${most}) ret = ${least};\``,
  };
}

function helper({ program, slot, diagnostic }: Refused): Advice {
  const insn = program.insns[slot];
  if (insn === undefined || !/helper/.test(diagnostic.problem)) return {};
  const types = [...programDeclarations].filter(([, { helpers }]) => helpers.has(insn.imm)).map(([type]) => type);
  const name = helperAt(program, slot) ?? 'this helper';
  return {
    suggestion:
      types.length === 0
        ? `no program type may call ${name}`
        : `${name} is for programs of type ${types.slice(0, 8).join(', ')}${types.length > 8 ? ' …' : ''}`,
  };
}

function size(refused: Refused, fields: Fields | undefined): Advice {
  if (fields === undefined) return {};
  const { id } = refused.diagnostic;
  return {
    proven: `the size is ${numberText(fields)}`,
    needed:
      id === 'size-zero'
        ? 'at least 1'
        : id === 'size-negative'
          ? 'from 0 up'
          : 'a size with a limit, at most that of the buffer',
    suggestion:
      id === 'size-zero'
        ? `before ${placeOf(refused.program, refused.slot)} add \`if (len == 0) ${giveUp(refused.program.type)}\``
        : `bound the size with its type unsigned: \`if (len > sizeof(buf)) len = sizeof(buf);\` or \`len &= sizeof(buf) - 1;\` before ${placeOf(refused.program, refused.slot)}`,
  };
}

const plainSuggestions: Readonly<Record<string, string>> = {
  'infinite-loop':
    'make something change with each round that ends the loop: `for (int i = 0; i < 64; i++)`, or use bpf_loop(), bpf_for() or may_goto',
  'too-many-instructions':
    'shorten or bound the loops (bpf_loop() is verified once, not per round), or move parts into global functions, which are verified by themselves',
  'too-many-branches': 'fewer branches in a row: use a loop with bpf_loop(), or move parts into global functions',
  'gpl-only': 'if it is so licensed: `char LICENSE[] SEC("license") = "GPL";`',
  misaligned: 'copy the field with __builtin_memcpy(), or align it',
  'special-field':
    'use the functions for that field (bpf_spin_lock(), bpf_timer_*, bpf_kptr_xchg()); copy around it in parts',
  'read-only': 'copy what is to be changed to the stack first',
  'map-access': 'drop BPF_F_RDONLY_PROG or BPF_F_WRONLY_PROG from the map, or leave the access to user space',
  'packet-write': 'use bpf_skb_store_bytes() where the type has it, or a program type that may write to packets',
  'pointer-pointer': 'subtract pointers only, or add a number to one of them',
  'spill-size': 'store pointers whole: in 8 bytes, aligned to 8 (a struct member of pointer type does this)',
  'fill-size': 'read a saved pointer back whole, in 8 bytes',
  'spin-lock':
    'take one lock at a time, give it back on every path, and call nothing but bpf_spin_unlock() while it is held',
  'under-lock': 'call the function before bpf_spin_lock() or after bpf_spin_unlock()',
  'size-not-constant': 'pass a constant: `sizeof(x)`',
  'call-stack-too-deep': 'inline functions, or move one into a tail call',
  'unreachable-insn': 'remove the code that no path reaches (compilers do, with -O2)',
  'bad-insn': 'compile for the CPU version that the kernel knows (-mcpu=v3)',
  'modified-pointer': 'keep an unchanged copy of the pointer and pass that',
  'variable-offset': 'use a constant offset',
  'stack-pointer-returned': 'return the value, or write to memory of the caller through an argument',
  'pointer-differs':
    'give each kind of pointer its own load: keep the compiler from merging the two ways (barrier_var())',
  'packet-argument': 'copy the bytes to the stack and pass that',
  'not-a-reference': 'release only what the matching call has acquired, once, on this path',
};

function plain({ diagnostic }: Refused): Advice {
  const suggestion = plainSuggestions[diagnostic.id];
  return suggestion === undefined ? {} : { suggestion };
}
