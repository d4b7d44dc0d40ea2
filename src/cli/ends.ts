/** What ends a run that goes on until it is told to end. */

/** The first signal ends the run in order; a second one ends the process, and the kernel detaches. */
export function onSignals(stop: AbortController): () => void {
  const end = (signal: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
    stop.abort();
  };
  process.on('SIGINT', end).on('SIGTERM', end);
  return () => process.off('SIGINT', end).off('SIGTERM', end);
}

/** Calls every so many seconds, until what it returns is called; never where they are undefined. */
export function every(seconds: number | undefined, call: () => void): () => void {
  if (seconds === undefined) return () => {};
  const timer = setInterval(call, seconds * 1000);
  return () => clearInterval(timer);
}

/** Aborted by a signal, or after `seconds`; until `undo` is called. */
export function endedBy(seconds: number | undefined): { readonly signal: AbortSignal; undo(): void } {
  const stop = new AbortController();
  const undo = [onSignals(stop), every(seconds, () => stop.abort())];
  return {
    signal: stop.signal,
    undo() {
      for (const each of undo) each();
    },
  };
}
