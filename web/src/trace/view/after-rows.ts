/** What stands around names and bars is below them in importance: it is fetched once they are drawn, as one part. */
export const afterRows = () => import('./around-rows.ts')
