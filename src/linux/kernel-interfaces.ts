/** Whether this machine's kernel has what an object needs: asked of its BTF, and of bpf(2) by loading next to nothing. */
import { helperId } from '../abi/helpers/index.ts';
import { isMapType } from '../abi/map-types.ts';
import { isLinuxProgramType } from '../abi/program-types.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import { shapeOfBtf } from '../abi/stability/shape.ts';
import type { Need } from '../object/needs.ts';
import type { ObjectSpec } from '../object/spec.ts';
import { findKernelType, moduleBtf, vmlinuxBtf } from './btf-vmlinux.ts';
import { hasHelper, hasMapType, lacksProgramType } from './features.ts';

export type KernelAnswer = 'yes' | 'no' | 'changed';

/**
 * `changed`: a kfunc of another shape, a field at another place. @param object that has the need. Throws UnsupportedError where bpf(2) is refused or the kernel
 * has no BTF.
 */
export function kernelAnswer({ kind, name, shape, programs }: Need, object: ObjectSpec): KernelAnswer {
  const yes = (there: boolean): KernelAnswer => (there ? 'yes' : 'no');
  switch (kind) {
    case 'program type':
      return yes(isLinuxProgramType(name) && !lacksProgramType(name));
    case 'map type':
      return yes(isMapType(name) && hasMapType(name));
    case 'kfunc':
      return kfuncAnswer(name, shape);
    case 'context field':
      return fieldAnswer(name);
    case 'helper': {
      const id = helperId(name);
      const types = programs.map((each) => object.programs.get(each)?.type);
      return yes(
        id !== undefined &&
          types.every((type) => type !== undefined && isLinuxProgramType(type) && hasHelper(type, id)),
      );
    }
  }
}

function kfuncAnswer(name: string, shape: string | undefined): KernelAnswer {
  const found = findKernelType(name, 'func');
  if (found === undefined) return 'no';
  const there = shapeOfBtf(found.module === undefined ? vmlinuxBtf() : moduleBtf(found.module), found.id);
  return shape === undefined || there === shape ? 'yes' : 'changed';
}

/** By the UAPI struct in the kernel's BTF: it is there because programs of the type are checked against it. */
function fieldAnswer(name: string): KernelAnswer {
  const [, type = '', struct = '', field = ''] = /^(.*?)\/(.*)\.(.*)$/.exec(name) ?? [];
  if (!isLinuxProgramType(type)) return 'no';
  const declared = programDeclarations.get(type)?.context.fields.find((each) => each.name === field);
  const id = vmlinuxBtf().find(struct, 'struct');
  if (declared === undefined || id === undefined) return 'no';
  const place = memberOffset(id, field);
  return place === undefined ? 'no' : place === declared.offset ? 'yes' : 'changed';
}

/** Bytes from the start of the struct, into unnamed unions and structs in it too. */
function memberOffset(id: number, field: string): number | undefined {
  const type = vmlinuxBtf().type(id);
  if (type?.kind !== 'struct' && type?.kind !== 'union') return undefined;
  for (const { name, type: of, bitOffset } of type.members) {
    if (name === field) return bitOffset / 8;
    const inner = name === '' ? memberOffset(of, field) : undefined;
    if (inner !== undefined) return bitOffset / 8 + inner;
  }
  return undefined;
}
