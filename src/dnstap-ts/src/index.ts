export { formatAddress } from './address.js';
export { decodeDnstap, encodeDnstap } from './codec.js';
export type { ConnectionStatistics, ReceiverStatistics } from './connection-statistics.js';
export {
  type ControlFrame,
  ControlType,
  decodeControlFrame,
  DNSTAP_CONTENT_TYPE,
  encodeControlFrame,
} from './control-frame.js';
export { type Dnstap, type Message, type Policy, unixNanoseconds } from './dnstap-message.js';
export { channels } from './diagnostics.js';
export { DnstapView } from './dnstap-view.js';
export { type Endpoint, formatEndpoint, parseEndpoint } from './endpoint.js';
export { DnstapDecodeError, DnstapError, type DnstapErrorCode, ERROR_CODES, FrameStreamsError } from './errors.js';
export { FrameQueue, type FrameQueueOptions, type QueuedFrame } from './frame-queue.js';
export { type FrameSink, FrameSplitter } from './frame-splitter.js';
export {
  type FrameStreamFileReadOptions,
  type FrameStreamFileResult,
  readFrameStreamFile,
} from './frame-stream-file-reader.js';
export { type FrameStreamFileWriteOptions, FrameStreamFileWriter } from './frame-stream-file-writer.js';
export { FrameStreamReader, type FrameStreamReaderHandler, type ReaderMode } from './frame-stream-reader.js';
export {
  dataFrameBytes,
  FrameStreamWriter,
  type FrameStreamWriterHandler,
  writeDataFrame,
} from './frame-stream-writer.js';
export {
  DnstapType,
  HttpProtocol,
  kindName,
  MessageType,
  PolicyAction,
  PolicyMatch,
  SocketFamily,
  SocketProtocol,
} from './message-kinds.js';
export { Receiver, type ReceiverEvents, type ReceiverOptions } from './receiver.js';
export { type FrameHandler, ReceiverConnection } from './receiver-connection.js';
export { Sender, type SenderEvents, type SenderOptions, type SenderStatistics } from './sender.js';
export type { Pem, ReceiverTlsOptions, SenderTlsOptions } from './tls-options.js';
