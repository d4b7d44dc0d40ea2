/** Loads from and stores to the context, by the declaration of the program type (the is_valid_access functions of the kernel). */
import type { ContextField } from '../abi/program-declaration.ts';
import * as k from './kinds.ts';
import { ID } from './layout.ts';
import { makePointer, makeUnknown, set } from './records.ts';
import { coerceLoaded } from './stack.ts';
import type { Verification } from './verification.ts';

function fieldAt(v: Verification, off: number, size: number): ContextField | undefined {
  for (const field of v.declaration.context.fields)
    if (
      off >= field.offset &&
      off < field.offset + Math.max(field.size, size === 8 ? 8 : 0) &&
      off < field.offset + field.size
    )
      return field;
  return undefined;
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
  if (context.layout === 'btf' || context.layout === 'target')
    v.unfollowed(`context of ${v.declaration.type} programs`);
  const field = off < 0 || off + size > context.size ? undefined : fieldAt(v, off, size);
  if (field === undefined || !allowed(v, field, off, size, write) || (signed && field.kind !== 'scalar'))
    v.refuse(
      'context-access',
      'Execution Context Safety',
      `invalid bpf_context access off=${off} size=${size}`,
      field === undefined
        ? `struct ${context.struct} has nothing there that programs of type ${v.declaration.type} may use.`
        : `Field ${field.name} of struct ${context.struct} cannot be ${write ? 'written' : 'read'} like that.`,
    );
  if (write || number < 0) return;
  const into = v.register(number);
  if (field.kind === 'scalar') {
    makeUnknown(into);
    coerceLoaded(into, size, signed);
    return;
  }
  const pointer = pointers[field.kind];
  if (pointer === undefined) v.unfollowed(`context field of kind ${field.kind}`);
  makePointer(into, pointer[0], pointer[1], 0);
  if ((pointer[1] & k.MAYBE_NULL) !== 0) set(into, ID, v.newId());
}
