/** What a map's keys and values are to a reader: sizes, and members with their offsets where BTF has them. */
import { layoutText } from '../btf/layout-text.ts';
import type { MapSpec, ObjectSpec } from './spec.ts';

export interface MapLayout {
  /** Map type, as MapTypeName. */
  readonly type: string;
  /** As layoutText; `N bytes` where there is no type of that size. */
  readonly key: string;
  readonly value: string;
}

export function mapLayout(object: ObjectSpec, map: MapSpec): MapLayout {
  return {
    type: map.type,
    key: sideLayout(object, map.keyTypeId, map.keySize),
    // A ring buffer has no values; the type that its definition gives is that of its records.
    value: sideLayout(object, map.valueTypeId, map.type === 'ringbuf' ? undefined : map.valueSize),
  };
}

/** @param size of the key or value in bytes; undefined: whatever the type has. */
function sideLayout({ btf }: ObjectSpec, typeId: number, size: number | undefined): string {
  const bytes = `${size ?? 0} bytes`;
  // Like the handles: a type of another size than the map's definition is not what the bytes are.
  if (btf === undefined || typeId === 0 || (size !== undefined && btf.sizeOf(typeId) !== size)) return bytes;
  return layoutText(btf, typeId);
}
