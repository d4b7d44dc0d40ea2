/** The program types that Sluice can run, by name. */
import type { ProgramDeclaration } from '../program-declaration.ts';
import type { ProgramTypeName } from '../program-types.ts';
import { xdp } from './xdp.ts';

export const programDeclarations: ReadonlyMap<ProgramTypeName, ProgramDeclaration> = new Map([[xdp.type, xdp]]);
