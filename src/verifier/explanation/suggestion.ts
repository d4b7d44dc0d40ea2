/** What to change so that a refused program is accepted: which check, where, in C. */
import { programDeclarations } from '../../abi/programs/index.ts';
import { CLASS, OPCODE } from '../../isa/opcodes.ts';
import * as k from '../kinds.ts';
import { largeOffset, object, packet, size, stack } from './bounds-suggestion.ts';
import { type Advice, giveUp, helperAt, placeOf, plural, type Refused } from './refused.ts';
import { type Fields, fieldsOf, numberText } from './value-text.ts';

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
      return largeOffset(refused);
    case 'result':
    case 'callback-result':
      return result(refused, fields);
    case 'helper-not-allowed':
      return helper(refused);
    case 'context-access':
      return context(refused);
    case 'under-lock':
      return underLock(refused);
    case 'size-negative':
    case 'size-unbounded':
    case 'size-zero':
      return size(refused, fields);
    default:
      return plain(refused);
  }
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
    const lost = fieldsOf(loss.node.frames.at(-1)!.data, (loss.registers[0] ?? 0) * 32);
    if (!k.isPacket(lost.kind))
      return {
        reason: `${helper} at ${placeOf(program, loss.slot)} gave back what the pointer points to; nobody may use it after that.`,
        needed: 'a pointer that has not been released',
        proven: 'a number that was a pointer once',
        suggestion: `do everything with the pointer before ${helper} at ${placeOf(program, loss.slot)}`,
      };
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

function context({ program, slot, diagnostic }: Refused): Advice {
  const declaration = program.type === undefined ? undefined : programDeclarations.get(program.type)?.context;
  const [, at, bytes] = /off=(-?\d+) size=(\d+)/.exec(diagnostic.problem) ?? [];
  if (declaration === undefined || at === undefined || (declaration.layout ?? 'struct') !== 'struct') return {};
  const off = Number(at);
  const size = Number(bytes);
  const { struct, fields } = declaration;
  const write = (program.insns[slot]!.opcode & 7) !== CLASS.LDX;
  const place = `bytes ${off} to ${off + size - 1}`;
  const field = fields.find((each) => each.offset <= off && off < each.offset + each.size);
  const writable = fields.filter((each) => each.write).map(({ name }) => name);
  const all = fields.map(({ name }) => name);
  const list = (names: readonly string[]) =>
    names.length === 0 ? 'none' : `${names.slice(0, 12).join(', ')}${names.length > 12 ? ' …' : ''}`;
  if (field === undefined)
    return {
      needed: `a field of struct ${struct}: ${list(all)}`,
      proven:
        off >= declaration.size
          ? `${place}; the struct has ${declaration.size}`
          : `${place}, where there is none of them`,
      suggestion: `read a field by its name; what the type does not have must come from elsewhere (the packet, a helper, a map)`,
    };
  if (write && !field.write)
    return {
      needed: `a field that may be written: ${list(writable)}`,
      proven: `${field.name} may only be read`,
      suggestion:
        writable.length === 0
          ? `programs of type ${program.type} change nothing in struct ${struct}: keep the value in a variable or a map`
          : `write one of those fields, or keep the value in a variable or a map`,
    };
  const loads = field.loads ?? [field.element ?? field.size];
  return {
    needed: `${field.name} of struct ${struct} at byte ${field.offset}, in ${[...new Set(loads)].join(', ')} bytes at a time`,
    proven: `${plural(size, 'byte')} at byte ${off}`,
    suggestion: `${write ? 'write' : 'read'} the whole field into a variable and take the part from there`,
  };
}

function underLock({ program, slot, diagnostic, steps }: Refused): Advice {
  const lock = steps.find(({ role }) => role === 'acquired');
  const since = lock === undefined ? '' : ` since ${placeOf(program, lock.slot)}`;
  const base = { needed: 'no lock', proven: `a spin lock is held${since}` };
  if (program.insns[slot]?.opcode === OPCODE.EXIT || /BPF_EXIT/.test(diagnostic.problem))
    return {
      ...base,
      suggestion: `on the path that is shown, add \`bpf_spin_unlock(&p->lock);\` before ${placeOf(program, slot)}`,
    };
  return { ...base, suggestion: 'call the function before bpf_spin_lock() or after bpf_spin_unlock()' };
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
  const name = helperAt(program, slot) ?? 'this helper';
  const types = [...programDeclarations]
    .filter(([, { helpers }]) => helpers.get(insn.imm)?.name === name)
    .map(([type]) => type);
  return {
    suggestion:
      types.length === 0
        ? `no program type may call ${name}`
        : `${name} is for programs of type ${types.slice(0, 8).join(', ')}${types.length > 8 ? ' …' : ''}`,
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
