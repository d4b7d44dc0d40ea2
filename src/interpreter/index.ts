/**
 * interpreter/: the independent, checked engine: executes a resolved program over the linear memory, checks every access and stops
 * at the exact bad one; steps, traces and counts.
 */

export type { InterpreterHost } from './core.ts';
export { Coverage, type ProgramCoverage } from './coverage.ts';
export { describeFault, type Fault, type FaultCode, faultCodes, type ObjectKind, type PointedObject } from './fault.ts';
export { Interpreter, type LoadOptions } from './interpreter.ts';
export type { RegisterValue } from './readout.ts';
export type { Argument, LoadedImage, Outcome, Position, RunOptions, StepOutcome } from './run.ts';
