/** Which of the declared interfaces the user-space target has: what it has a body, a map or a hook for. */
import { helpers } from '../abi/helpers/index.ts';
import { iouringHelpers } from '../abi/helpers/iouring.ts';
import { kfuncBody, kfuncs } from '../abi/kfuncs.ts';
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import { type AbiInterface, interfaces, ownHelperName } from '../abi/stability/interfaces.ts';
import { supportedMapTypes } from './maps/plane-map.ts';
import { planeExports } from './plane.ts';
import { isRunnable } from './resolve.ts';

/** @param hooked declarations of the program types that there are hooks for. */
export function offeredInterfaces(hooked: readonly ProgramDeclaration[]): readonly AbiInterface[] {
  const exports = planeExports();
  const types = new Set<string>(hooked.map(({ type }) => type));
  const names = {
    'program type': types,
    'map type': supportedMapTypes as ReadonlySet<string>,
    helper: new Set<string>([
      ...[...helpers.values()].filter((each) => isRunnable(each, exports)).map(({ name }) => name),
      ...iouringHelpers.filter((each) => isRunnable(each, exports)).map(ownHelperName),
    ]),
    kfunc: new Set<string>(
      [...kfuncs]
        .filter(([name, { engine }]) => engine === true || exports.has(kfuncBody(name, 'sched_cls')))
        .map(([name]) => name),
    ),
  };
  return interfaces().filter(({ kind, name }) =>
    kind === 'context field' ? types.has(name.slice(0, name.indexOf('/'))) : names[kind].has(name),
  );
}
