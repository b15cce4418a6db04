// Uploads a file with tus-js-client as the JSON in the first argument says; tells on standard
// output, a JSON object a line, what becomes of it.
import fs from 'node:fs'
import { PassThrough } from 'node:stream'
import * as tus from 'tus-js-client'

const { file, stream, ...options } = JSON.parse(process.argv[2])
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`)

const bytes = fs.createReadStream(file)
const upload = new tus.Upload(stream ? bytes.pipe(new PassThrough()) : bytes, {
  retryDelays: [0, 200, 500, 1000, 2000, 3000, 3000],
  ...options,
  uploadLengthDeferred: Boolean(stream),
  onUploadUrlAvailable: () => tell({ url: upload.url }),
  onShouldRetry: (error, attempt) => {
    const status = error.originalResponse ? error.originalResponse.getStatus() : 0
    tell({ retry: attempt, status })
    return status === 0 || status === 409 || status === 423 || status >= 500
  },
  onAfterResponse: (_, response) => tell({ replica: response.getHeader('X-Replica') }),
  onSuccess: () => tell({ done: upload.url }),
  onError: (error) => {
    tell({ error: String(error), status: error.originalResponse?.getStatus() ?? 0 })
    process.exitCode = 1
  },
})
upload.start()
