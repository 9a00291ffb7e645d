/** What stands around names and bars is below them in importance: it is fetched once they are drawn, as one part. */
export async function afterRows() {
  await new Promise((resolve) => setTimeout(resolve))
  return import('./around-rows.ts')
}
