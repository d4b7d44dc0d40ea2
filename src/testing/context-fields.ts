/** Contexts by field name: bytes in the UAPI layout, as abi/programs declares it. */
import type { ContextField } from '../abi/program-declaration.ts';
import type { ProgramTypeName } from '../abi/program-types.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import { InputError } from '../errors.ts';

export type ContextValues = Readonly<Record<string, number | bigint>>;

/** @param dataLength bytes of the packet: XDP wants them in data_end. */
export function encodeContext(type: ProgramTypeName, values: ContextValues, dataLength: number): Uint8Array {
  const declaration = programDeclarations.get(type)?.context;
  const bytes = new Uint8Array(declaration?.size ?? 0);
  const view = new DataView(bytes.buffer);
  if (type === 'xdp') view.setUint32(4, dataLength, true);
  for (const [name, value] of Object.entries(values)) {
    const { field, element } = fieldOf(type, name);
    const size = field.element ?? field.size;
    const at = field.offset + element * size;
    for (let i = 0; i < size; i++) bytes[at + i] = Number((BigInt(value) >> BigInt(8 * i)) & 0xffn);
  }
  return bytes;
}

export function contextValue(type: ProgramTypeName, context: Uint8Array, name: string): bigint {
  const { field, element } = fieldOf(type, name);
  const size = field.element ?? field.size;
  const at = field.offset + element * size;
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(context[at + i] ?? 0);
  return value;
}

/** `mark`, or `cb[2]` for one element of a field that has several. */
function fieldOf(type: ProgramTypeName, name: string): { readonly field: ContextField; readonly element: number } {
  const [, base, index] = /^(\w+)(?:\[(\d+)\])?$/.exec(name) ?? [];
  const context = programDeclarations.get(type)?.context;
  const field = context?.fields.find((each) => each.name === base);
  const element = Number(index ?? 0);
  if (field === undefined || element >= field.size / (field.element ?? field.size)) {
    const known = context?.fields.map((each) => each.name).join(', ') || 'none';
    throw new InputError(
      'SLUICE_CONTEXT_FIELD',
      `struct ${context?.struct} has no field ${name}; its fields: ${known}`,
    );
  }
  return { field, element };
}
