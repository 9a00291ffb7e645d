/** Do something for each of a list, a few at once, so that many questions do not keep everything else waiting. */
export async function inTurns<T>(
  list: readonly T[],
  atOnce: number,
  act: (each: T) => Promise<void>,
): Promise<void> {
  const waiting = list.values()
  const worker = async () => {
    for (const each of waiting) await act(each)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
