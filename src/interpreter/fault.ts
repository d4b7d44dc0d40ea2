/** Faults: what stopped a run, where, and in whose words (the kernel verifier's, where it has words for the problem). */
import type { LineInfo } from '../object/spec.ts';
import {
  FIELD_LIST_HEAD,
  FIELD_LIST_NODE,
  FIELD_RB_NODE,
  FIELD_RB_ROOT,
  FIELD_REFCOUNT,
  FIELD_RES_SPIN_LOCK,
  FIELD_SPIN_LOCK,
  FIELD_TASK_WORK,
  FIELD_TIMER,
  FIELD_WORK,
} from '../plane/layout/record.ts';

export const faultCodes = [
  undefined,
  'SLUICE_FAULT_UNINITIALISED_REGISTER',
  'SLUICE_FAULT_OUT_OF_BOUNDS',
  'SLUICE_FAULT_NOT_A_POINTER',
  'SLUICE_FAULT_NULL_POINTER',
  'SLUICE_FAULT_READ_ONLY',
  'SLUICE_FAULT_WRITE_ONLY',
  'SLUICE_FAULT_UNINITIALISED_STACK',
  'SLUICE_FAULT_MISALIGNED_ATOMIC',
  'SLUICE_FAULT_ATOMIC_OBJECT',
  'SLUICE_FAULT_RELEASED_MEMORY',
  'SLUICE_FAULT_DEAD_FRAME',
  'SLUICE_FAULT_CONTEXT_ACCESS',
  'SLUICE_FAULT_STALE_PACKET',
  'SLUICE_FAULT_OPAQUE_OBJECT',
  'SLUICE_FAULT_JUMP_OUT',
  'SLUICE_FAULT_JUMP_MIDDLE',
  'SLUICE_FAULT_FALL_OFF',
  'SLUICE_FAULT_JUMP_TABLE',
  'SLUICE_FAULT_CALL_DEPTH',
  'SLUICE_FAULT_STACK_OVERFLOW',
  'SLUICE_FAULT_BUDGET',
  'SLUICE_FAULT_INVALID_INSN',
  'SLUICE_FAULT_UNSUPPORTED',
  'SLUICE_FAULT_ARGUMENT_TYPE',
  'SLUICE_FAULT_ARGUMENT_SIZE',
  'SLUICE_FAULT_MODIFIED_POINTER',
  'SLUICE_FAULT_UNRELEASED_REFERENCE',
  'SLUICE_FAULT_TOO_MANY_REFERENCES',
  'SLUICE_FAULT_SPECIAL_FIELD',
] as const;

/** Stable: programs and tests may compare them. */
export type FaultCode = Exclude<(typeof faultCodes)[number], undefined>;

export type ObjectKind =
  | 'memory'
  | 'map value'
  | 'global data'
  | 'map key'
  | 'stack'
  | 'packet'
  | 'packet metadata'
  | 'context'
  | 'ringbuf record'
  | 'map'
  | 'function'
  | 'kernel object'
  | 'object'
  | 'per-CPU object'
  | 'stale packet pointer'
  | 'null map value'
  | 'null memory';

/** What a pointer points into. */
export interface PointedObject {
  readonly kind: ObjectKind;
  /** Name of the map, the context's struct, the frame's function: where there is one. */
  readonly name: string | undefined;
  /** First byte and size in bytes; of the packet, as they were at the fault. */
  readonly base: number;
  readonly size: number;
}

export interface Fault {
  readonly code: FaultCode;
  /** One line, in the kernel's words where the kernel knows the problem. */
  readonly problem: string;
  /** What exactly was wrong here, with addresses and bounds. */
  readonly reason: string;
  /** Name of the program that ran: after a tail call, of the one called. */
  readonly program: string;
  /** The instruction that did it. */
  readonly slot: number;
  readonly function: string;
  readonly line: LineInfo | undefined;
  /** Register that held the pointer or the argument. */
  readonly register: number | undefined;
  readonly access: 'none' | 'read' | 'write' | 'atomic';
  readonly address: bigint | undefined;
  /** Bytes accessed. */
  readonly size: number | undefined;
  readonly object: PointedObject | undefined;
  /** Bytes from the object's start; from the top of the frame (so negative) for the stack. */
  readonly offset: bigint | undefined;
}

/** The fault record of the state block, read out. */
export interface RawFault {
  readonly code: FaultCode;
  readonly slot: number;
  readonly register: number | undefined;
  readonly access: Fault['access'];
  readonly address: bigint;
  readonly size: number;
  readonly object: PointedObject | undefined;
  readonly detail: bigint;
  /** What is wrong with an instruction that is none; which feature is not there. */
  readonly text: string;
  /** Kind of argument that a helper wanted, in the kernel's words. */
  readonly expected: string;
}

/** Names of register types in the kernel's messages (reg_type_str, kernel/bpf/log.c). */
const kernelTypes: Readonly<Record<ObjectKind, string>> = {
  memory: 'mem',
  'map value': 'map_value',
  'global data': 'map_value',
  'map key': 'map_key',
  stack: 'fp',
  packet: 'pkt',
  'packet metadata': 'pkt_meta',
  context: 'ctx',
  'ringbuf record': 'ringbuf_mem',
  map: 'map_ptr',
  function: 'func',
  'kernel object': 'ptr_',
  object: 'ptr_',
  'per-CPU object': 'percpu_ptr_',
  'stale packet pointer': 'scalar',
  'null map value': 'map_value_or_null',
  'null memory': 'mem_or_null',
};

/** Offset as Fault.offset has it. */
export function offsetIn(object: PointedObject, address: bigint): bigint {
  const start = object.kind === 'stack' ? object.base + object.size : object.base;
  return BigInt.asIntN(64, address - BigInt(start));
}

/** Special fields by FIELD_ kind, as btf_field_type_name of the kernel says them; pointers apart. */
const specialFields: ReadonlyMap<number, string> = new Map([
  [FIELD_SPIN_LOCK, 'bpf_spin_lock'],
  [FIELD_RES_SPIN_LOCK, 'bpf_res_spin_lock'],
  [FIELD_TIMER, 'bpf_timer'],
  [FIELD_WORK, 'bpf_wq'],
  [FIELD_TASK_WORK, 'bpf_task_work'],
  [FIELD_LIST_HEAD, 'bpf_list_head'],
  [FIELD_LIST_NODE, 'bpf_list_node'],
  [FIELD_RB_ROOT, 'bpf_rb_root'],
  [FIELD_RB_NODE, 'bpf_rb_node'],
  [FIELD_REFCOUNT, 'bpf_refcount'],
]);

/** The problem in one line. */
export function problemOf(fault: RawFault): string {
  const { register, size, object, detail, slot } = fault;
  const r = `R${register ?? 0}`;
  const type = object === undefined ? 'scalar' : kernelTypes[object.kind];
  const off = object === undefined ? 0n : offsetIn(object, fault.address);
  const direction = fault.access === 'read' ? 'read from' : 'write to';
  switch (fault.code) {
    case 'SLUICE_FAULT_UNINITIALISED_REGISTER':
      return `${r} !read_ok`;
    case 'SLUICE_FAULT_OUT_OF_BOUNDS':
      switch (object?.kind) {
        case 'stack':
          return `invalid ${direction} stack ${r} off=${off} size=${size}`;
        case 'packet':
        case 'packet metadata':
          return `invalid access to packet, off=${off} size=${size}, ${r}(id=0,off=${off},r=${object.size})`;
        case 'map key':
          return `invalid access to map key, key_size=${object.size} off=${off} size=${size}`;
        case 'map value':
        case 'global data':
          return `invalid access to map value, value_size=${object.size} off=${off} size=${size}`;
        default:
          return `invalid access to memory, mem_size=${object?.size ?? 0} off=${off} size=${size}`;
      }
    case 'SLUICE_FAULT_NOT_A_POINTER':
    case 'SLUICE_FAULT_STALE_PACKET':
    case 'SLUICE_FAULT_RELEASED_MEMORY':
      return `${r} invalid mem access 'scalar'`;
    case 'SLUICE_FAULT_NULL_POINTER':
    case 'SLUICE_FAULT_OPAQUE_OBJECT':
      return `${r} invalid mem access '${type}'`;
    case 'SLUICE_FAULT_READ_ONLY':
      if (object?.kind === 'packet') return 'cannot write into packet';
      if (object?.kind === 'map value' || object?.kind === 'global data')
        return `write into map forbidden, value_size=${object.size} off=${off} size=${size}`;
      return `${r} cannot write into rdonly_${type}`;
    case 'SLUICE_FAULT_WRITE_ONLY':
      return `read from map forbidden, value_size=${object?.size ?? 0} off=${off} size=${size}`;
    case 'SLUICE_FAULT_UNINITIALISED_STACK':
      return `invalid read from stack off ${off}+${detail} size ${size}`;
    case 'SLUICE_FAULT_MISALIGNED_ATOMIC':
      return `misaligned access off ${off} size ${size}`;
    case 'SLUICE_FAULT_ATOMIC_OBJECT':
      return fault.access === 'read'
        ? `BPF_ATOMIC loads from ${r} ${type} is not allowed`
        : `BPF_ATOMIC stores into ${r} ${type} is not allowed`;
    case 'SLUICE_FAULT_DEAD_FRAME':
      return `${r} points into the stack of a function that has returned`;
    case 'SLUICE_FAULT_CONTEXT_ACCESS':
      return `invalid bpf_context access off=${off} size=${size}`;
    case 'SLUICE_FAULT_JUMP_OUT':
      return `jump out of range from insn ${slot} to ${BigInt.asIntN(32, detail)}`;
    case 'SLUICE_FAULT_JUMP_MIDDLE':
      return `jump into the middle of ldimm64 insn ${detail}`;
    case 'SLUICE_FAULT_FALL_OFF':
      return 'last insn is not an exit or jmp';
    case 'SLUICE_FAULT_JUMP_TABLE':
      return 'indirect jump to no target of its jump tables';
    case 'SLUICE_FAULT_CALL_DEPTH':
      return `the call stack of ${detail} frames is too deep !`;
    case 'SLUICE_FAULT_STACK_OVERFLOW':
      return `combined stack size of ${detail} calls is ${Number(detail) * 512}. Too large`;
    case 'SLUICE_FAULT_BUDGET':
      return `BPF program is too large. Processed ${detail} insn`;
    case 'SLUICE_FAULT_INVALID_INSN':
    case 'SLUICE_FAULT_UNSUPPORTED':
      return fault.text;
    case 'SLUICE_FAULT_ARGUMENT_TYPE':
      return `${r} type=${type} expected=${fault.expected}`;
    case 'SLUICE_FAULT_ARGUMENT_SIZE':
      if (detail === 0n) return `${r} invalid zero-sized read: u64=[0,0]`;
      if (detail >= 1n << 63n) return `${r} min value is negative, either use unsigned or 'var &= const'`;
      return `${r} unbounded memory access, use 'var &= const' or 'if (var < const)'`;
    case 'SLUICE_FAULT_MODIFIED_POINTER':
      if (object?.kind === 'context') return `dereference of modified ctx ptr ${r} off=${off} disallowed`;
      if (object?.kind === 'map') return `${r} pointer arithmetic on map_ptr prohibited`;
      return `${r} must have zero offset when passed to release func or trusted arg to kfunc`;
    case 'SLUICE_FAULT_UNRELEASED_REFERENCE':
      return `BPF_EXIT instruction in main prog would lead to reference leak: Unreleased reference alloc_insn=${detail}`;
    case 'SLUICE_FAULT_SPECIAL_FIELD': {
      const field = specialFields.get(Number(detail));
      if (field !== undefined)
        return field.endsWith('spin_lock')
          ? 'bpf_spin_lock cannot be accessed directly by load/store'
          : `direct access to ${field} is disallowed`;
      return fault.access === 'read' ? 'kptr access size must be BPF_DW' : 'store to referenced kptr disallowed';
    }
    case 'SLUICE_FAULT_TOO_MANY_REFERENCES':
      return `more than ${detail} ringbuf records reserved at once`;
    default:
      return fault.code satisfies never;
  }
}

/** The reason in a sentence, with the addresses. */
export function reasonOf(fault: RawFault): string {
  const { object, size, detail } = fault;
  const address = `0x${fault.address.toString(16)}`;
  const verb = { none: 'uses', read: 'reads', write: 'writes', atomic: 'updates atomically' }[fault.access];
  const at =
    fault.access === 'none'
      ? `${fault.register === undefined ? 'it' : `R${fault.register}`} holds ${address}`
      : `it ${verb} ${size} byte${size === 1 ? '' : 's'} at ${address}`;
  const bounds =
    object === undefined
      ? ''
      : `${object.kind}${object.name === undefined ? '' : ` ${object.name}`} [0x${object.base.toString(16)}, 0x${(object.base + object.size).toString(16)})`;
  switch (fault.code) {
    case 'SLUICE_FAULT_UNINITIALISED_REGISTER':
      return `R${fault.register} holds no value here: nothing was written to it since entry or since the last call`;
    case 'SLUICE_FAULT_NOT_A_POINTER':
      return `${at}, where no object of the program lies`;
    case 'SLUICE_FAULT_NULL_POINTER':
      return `${at} through the NULL that a helper returned; the program did not test for it`;
    case 'SLUICE_FAULT_STALE_PACKET':
      return `${at} through a packet pointer from before a helper that may move the packet; load data and data_end again`;
    case 'SLUICE_FAULT_RELEASED_MEMORY':
      return object?.kind === 'object'
        ? `${at}, in an object that the program does not have any more: it was dropped, or went with what owned it`
        : `${at}, in a record that was already submitted or discarded`;
    case 'SLUICE_FAULT_UNINITIALISED_STACK':
      return `${at}; byte ${detail} of them was never written`;
    case 'SLUICE_FAULT_JUMP_OUT':
      return `slot ${BigInt.asIntN(32, detail)} lies outside of the function`;
    case 'SLUICE_FAULT_FALL_OFF':
      return 'execution runs past the last instruction of the function';
    case 'SLUICE_FAULT_JUMP_TABLE':
      return `the register holds ${detail}, which no jump table of the program lists`;
    case 'SLUICE_FAULT_BUDGET':
      return `the run was given ${detail} steps`;
    case 'SLUICE_FAULT_ARGUMENT_SIZE':
      return `the size is ${detail}`;
    case 'SLUICE_FAULT_JUMP_MIDDLE':
    case 'SLUICE_FAULT_CALL_DEPTH':
    case 'SLUICE_FAULT_STACK_OVERFLOW':
    case 'SLUICE_FAULT_INVALID_INSN':
    case 'SLUICE_FAULT_UNSUPPORTED':
    case 'SLUICE_FAULT_UNRELEASED_REFERENCE':
    case 'SLUICE_FAULT_TOO_MANY_REFERENCES':
      return problemOf(fault);
    default:
      return bounds === '' ? at : `${at}, and the register points into ${bounds}`;
  }
}

/**
 * The fault as text: code and problem, reason, place, source line and instruction.
 * @param instruction disassembly of the slot, where the caller has one.
 */
export function describeFault(fault: Fault, instruction?: string): string {
  const lines = [
    `${fault.code}: ${fault.problem}`,
    `  reason: ${fault.reason}`,
    `  at: program ${fault.program}, function ${fault.function}, insn ${fault.slot}${instruction === undefined ? '' : `: ${instruction}`}`,
  ];
  if (fault.line !== undefined)
    lines.push(`  source: ${fault.line.file}:${fault.line.line}: ${fault.line.text.trim()}`);
  return lines.join('\n');
}
