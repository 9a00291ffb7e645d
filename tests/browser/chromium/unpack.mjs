// Unpack the Chromium of @sparticuz/chromium, and the libraries that it needs, into TMPDIR; print the program's path.
// It looks at this variable when it is imported: without it, the libraries stay packed.
process.env.AWS_EXECUTION_ENV ??= 'AWS_Lambda_nodejs22.x'
const { default: chromium } = await import('@sparticuz/chromium')
console.log(await chromium.executablePath())
