/** Loads from and stores to the context, by the declaration of the program type (the is_valid_access functions of the kernel). */
import { flowKeysSize, socketStructs } from '../../abi/contexts/sock.ts';
import type { ContextField } from '../../abi/program-declaration.ts';
import * as k from '../kinds.ts';
import { ID } from '../layout.ts';
import { kindOf, makePointer, makeUnknown, set } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { kernelStruct, makeBtfPointer } from './btf-pointer.ts';
import { btfContextAccess } from './context-btf.ts';
import { coerceLoaded } from './stack.ts';

/** Of several fields in one place (unions) the one that may be touched like that, or else the first. */
function fieldAt(
  v: Verification,
  fields: readonly ContextField[],
  off: number,
  size: number,
  write: boolean,
): ContextField | undefined {
  let first: ContextField | undefined;
  for (const field of fields) {
    if (off < field.offset || off >= field.offset + field.size) continue;
    if (allowed(v, field, off, size, write)) return field;
    first ??= field;
  }
  return first;
}

/** A load through a socket pointer (check_sock_access); nothing may be written there. */
export function socketAccess(
  v: Verification,
  pointerNumber: number,
  off: number,
  size: number,
  write: boolean,
  number: number,
  signed: boolean,
): void {
  const kind = kindOf(v.register(pointerNumber));
  const name = k.kindName(kind, 0);
  if (write)
    v.refuse(
      'read-only',
      'Memory Safety',
      `R${pointerNumber} cannot write into ${name}`,
      'Programs only read from sockets.',
    );
  const { struct, size: all, fields } = sockets[kind]!;
  const field = off < 0 || off + size > all ? undefined : fieldAt(v, fields, off, size, false);
  if (field === undefined || !allowed(v, field, off, size, false))
    v.refuse(
      'socket-access',
      'Memory Safety',
      `R${pointerNumber} invalid ${name} access off=${off} size=${size}`,
      `struct ${struct} has nothing there that can be read like that through a ${name} pointer.`,
    );
  if (number < 0) return;
  makeUnknown(v.register(number));
  coerceLoaded(v.register(number), size, signed);
}

const sockets: Readonly<
  Record<number, { readonly struct: string; readonly size: number; readonly fields: readonly ContextField[] }>
> = {
  [k.SOCKET]: socketStructs.socket,
  [k.SOCK_COMMON]: socketStructs.sock_common,
  [k.TCP_SOCK]: socketStructs.tcp_sock,
  [k.XDP_SOCK]: socketStructs.xdp_sock,
};

/** struct bpf_flow_keys, readable and writable throughout. */
export function flowKeysAccess(v: Verification, off: number, size: number): void {
  if (off >= 0 && off + size <= flowKeysSize) return;
  v.refuse(
    'out-of-bounds',
    'Memory Safety',
    `invalid access to flow keys off=${off} size=${size}`,
    `struct bpf_flow_keys has ${flowKeysSize} bytes.`,
  );
}

function allowed(v: Verification, field: ContextField, off: number, size: number, write: boolean): boolean {
  const { attachType } = v.program;
  if (field.attachTypes !== undefined && (attachType === undefined || !field.attachTypes.includes(attachType)))
    return false;
  if (write) {
    if (!field.write) return false;
    if (
      field.writeAttachTypes !== undefined &&
      (attachType === undefined || !field.writeAttachTypes.includes(attachType))
    )
      return false;
  }
  const sizes = (write ? field.stores : field.loads) ?? [field.element ?? field.size];
  if (!sizes.includes(size) || off % size !== 0) return false;
  const inside = off + size <= field.offset + field.size || (size > field.size && off === field.offset);
  if (!inside) return false;
  const whole = field.element ?? field.size;
  return write || field.narrowAtStart !== true || size >= whole || off === field.offset;
}

const pointers: Readonly<Record<string, readonly [number, number]>> = {
  packet: [k.PACKET, 0],
  packet_end: [k.PACKET_END, 0],
  packet_meta: [k.PACKET_META, 0],
  socket: [k.SOCKET, 0],
  socket_or_null: [k.SOCKET, k.MAYBE_NULL],
  sock_common_or_null: [k.SOCK_COMMON, k.MAYBE_NULL],
  flow_keys: [k.FLOW_KEYS, 0],
  tp_buffer: [k.TP_BUFFER, 0],
};

export function contextAccess(
  v: Verification,
  off: number,
  size: number,
  write: boolean,
  number: number,
  signed: boolean,
): void {
  const { context } = v.declaration;
  if (context.layout === 'btf') {
    btfContextAccess(v, off, size, write, number, signed);
    return;
  }
  const field = off < 0 || off + size > context.size ? undefined : fieldAt(v, context.fields, off, size, write);
  if (field === undefined || !allowed(v, field, off, size, write) || (signed && field.kind !== 'scalar'))
    v.refuse(
      'context-access',
      'Execution Context Safety',
      `invalid bpf_context access off=${off} size=${size}`,
      field === undefined
        ? `struct ${context.struct} has nothing there that programs of type ${v.declaration.type} may use.`
        : `Field ${field.name} of struct ${context.struct} cannot be ${write ? 'written' : 'read'} like that.`,
    );
  v.contextFields.add(field.name);
  if (write || number < 0) return;
  const into = v.register(number);
  if (field.kind === 'scalar') {
    makeUnknown(into);
    coerceLoaded(into, size, signed);
    return;
  }
  if (field.kind === 'btf_id') {
    makeBtfPointer(v, into, kernelStruct(v, field.btfId!), k.TRUSTED);
    return;
  }
  const pointer = pointers[field.kind];
  if (pointer === undefined) v.unfollowed(`context field of kind ${field.kind}`);
  makePointer(into, pointer[0], pointer[1], 0);
  if ((pointer[1] & k.MAYBE_NULL) !== 0) set(into, ID, v.newId());
}
