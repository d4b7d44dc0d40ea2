/** Advice on what lies outside: of the packet, an object, the stack, or any of them by a number without limits. */
import { CLASS } from '../../isa/opcodes.ts';
import * as k from '../kinds.ts';
import { type Advice, access, giveUp, helperAt, lineOf, placeOf, plural, type Refused } from './refused.ts';
import type { SliceStep } from './slice.ts';
import { type Fields, fieldsOf, numberText } from './value-text.ts';

export function packet(refused: Refused, fields: Fields): Advice {
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
  if (fields.aux > 0 && check !== undefined) {
    const text = lineOf(program, check.slot)?.text.trim() ?? '';
    // In the program's own words where the number stands in them.
    const own = text.replace(/\+\s*(\d+)\b/, (sum, number: string) =>
      Number(number) === fields.aux ? sum.replace(number, String(bytes)) : sum,
    );
    return {
      ...base,
      suggestion: `the check at ${placeOf(program, check.slot)} proves ${plural(fields.aux, 'byte')}; make it \`${own === text ? condition : own}\``,
    };
  }
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

export function object(refused: Refused, fields: Fields): Advice {
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
  const scaled = scaledIndex(refused, most);
  const needed = `at most ${most} for the variable offset: ${plural(size, 'byte')} at constant offset ${off} of the ${name} with ${plural(all, 'byte')}`;
  if (diagnostic.id === 'negative-offset' || fields.smin < 0n)
    return {
      needed: `an offset from 0 to ${most}`,
      proven: index,
      suggestion: `make the index unsigned, or check both sides before ${placeOf(program, refused.slot)}: \`if (i < 0 || i > ${most}) ${end}\` (i in bytes)`,
    };
  if (scaled !== undefined) return { needed, proven: index, suggestion: scaled };
  const power = 2 ** Math.floor(Math.log2(Math.max(1, most + 1))) - 1;
  return {
    needed,
    proven: index,
    suggestion: `before ${placeOf(program, refused.slot)} add \`if (i > ${most}) ${end}\`${power > 0 ? ` or \`i &= 0x${power.toString(16)};\`` : ''} (i in bytes), on the variable itself and after its last change`,
  };
}

/**
 * What to write for an offset that an index was multiplied for: the greatest index that fits, in the check that is there, with its
 * source text, if there is one.
 */
function scaledIndex({ program, steps, slot }: Refused, most: number): string | undefined {
  if (most < 0) return undefined;
  let scale = 1;
  let check: SliceStep | undefined;
  for (const step of steps.toReversed()) {
    const { opcode, imm } = program.insns[step.slot]!;
    const kind = opcode & 7;
    const arithmetic = kind === CLASS.ALU || kind === CLASS.ALU64;
    if (arithmetic && (opcode & 8) === 0 && check === undefined) {
      if ((opcode & 0xf0) === 0x60) scale *= 2 ** imm;
      else if ((opcode & 0xf0) === 0x20) scale *= imm;
      else if ((opcode & 0xf0) === 0x70 || (opcode & 0xf0) === 0xc0) scale /= 2 ** imm;
    }
    const limits = step.role === 'proof' && !arithmetic && (opcode & 8) === 0 && !step.taken;
    if (limits && check === undefined && [0x20, 0x30, 0x60, 0x70].includes(opcode & 0xf0)) check = step;
  }
  if (!Number.isInteger(scale) || scale < 1) return undefined;
  const limit = Math.floor(most / scale);
  const end = giveUp(program.type);
  const elements = scale === 1 ? '' : ` (elements of ${scale} bytes)`;
  if (check !== undefined) {
    const { opcode, imm } = program.insns[check.slot]!;
    const past = (opcode & 0xf0) === 0x30 || (opcode & 0xf0) === 0x70 ? imm - 1 : imm;
    const at = placeOf(program, check.slot);
    const text = lineOf(program, check.slot)?.text.trim();
    const [found, comparison, number] =
      (text === undefined ? null : /(>=?)\s*(\d+)\b(?!.*[<>]=?\s*\d)/.exec(text)) ?? [];
    const fits = number !== undefined && Number(number) - (comparison === '>=' ? 1 : 0) === past;
    const better =
      text === undefined || found === undefined || !fits
        ? `if (i > ${limit}) ${end}`
        : text.replace(found, found.replace(number, String(comparison === '>=' ? limit + 1 : limit)));
    return `the check at ${at} lets ${past} through, and ${limit} is the greatest that fits${elements}; make it \`${better}\``;
  }
  const power = 2 ** Math.floor(Math.log2(limit + 1)) - 1;
  return `before ${placeOf(program, slot)} add \`if (i > ${limit}) ${end}\`${power > 0 ? ` or \`i &= 0x${power.toString(16)};\`` : ''}, on the index itself${elements} and after its last change`;
}

export function stack(refused: Refused, fields: Fields | undefined): Advice {
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
  const scaled = fields.smin < 0n ? undefined : scaledIndex(refused, length - size);
  return {
    needed: `a variable offset from 0 to ${Math.max(0, length - size)}`,
    proven: `the variable offset is ${numberText(fields)}`,
    suggestion:
      scaled ??
      `check the index before ${placeOf(program, refused.slot)}: \`if (i > ${Math.max(0, length - size)}) ${giveUp(program.type)}\` (i in bytes)`,
  };
}

/** A number that is added to a pointer, with a side that is open. */
export function largeOffset({ program, slot, node, diagnostic, maps }: Refused): Advice {
  const { data } = node.frames.at(-1) ?? {};
  const { dst, src, opcode } = program.insns[slot]!;
  const operands =
    data === undefined ? [] : [dst, ...((opcode & 8) !== 0 ? [src] : [])].map((r) => fieldsOf(data, r * 32));
  const fields = operands.find(({ kind }) => kind === k.SCALAR) ?? operands[0];
  if (fields === undefined) return {};
  const end = giveUp(program.type);
  const object = operands.find(({ kind }) => kind !== k.SCALAR);
  const size = object?.kind === k.MAP_VALUE ? maps[object.aux]?.valueSize : undefined;
  const most = size === undefined ? 'sizeof(x)' : String(size);
  const base = { proven: `the offset is ${numberText(fields)}`, needed: 'an offset between -2^29 and 2^29' };
  if (/unbounded min value/.test(diagnostic.problem) || fields.smin < 0n)
    return {
      ...base,
      reason:
        'The number is signed and nothing keeps it from being negative, so the pointer could end far before the memory that it points into.',
      suggestion: `make the index unsigned (then one comparison bounds both sides), or check \`if (i < 0) ${end}\` before ${placeOf(program, slot)}`,
    };
  return {
    ...base,
    suggestion: `bound the number before it is added to the pointer at ${placeOf(program, slot)}: \`if (off >= ${most}) ${end}\`, or mask the same variable that is added`,
  };
}

export function size(refused: Refused, fields: Fields | undefined): Advice {
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
