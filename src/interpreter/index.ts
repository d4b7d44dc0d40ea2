/**
 * interpreter/: the independent, checked engine: executes a resolved program over the linear memory, checks every access and stops
 * at the exact bad one; steps, traces and counts.
 */
export { describeFault, type Fault, type FaultCode, faultCodes, type ObjectKind, type PointedObject } from './fault.ts';
export {
  type Argument,
  Interpreter,
  type InterpreterHost,
  type LoadedImage,
  type LoadOptions,
  type Outcome,
  type Position,
  type RunOptions,
  type StepOutcome,
} from './interpreter.ts';
export type { RegisterValue } from './readout.ts';
