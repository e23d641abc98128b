package trustcard.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import com.fasterxml.jackson.module.blackbird.BlackbirdModule;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.UUID;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;

/** Reads a post, writes what was made of it, with the headers of an event. */
final class Work implements FixedKeyProcessor<byte[], byte[], byte[]> {
  private static final byte[] IN_TYPE = "trustcard.bench.post.v1".getBytes(UTF_8);
  private static final byte[] OUT_TYPE = "trustcard.bench.checked.v1".getBytes(UTF_8);
  private static final byte[] SPEC_VERSION = "1.0".getBytes(UTF_8);
  private static final byte[] SOURCE = "/trustcard/bench".getBytes(UTF_8);
  private static final byte[] SCHEMA = "urn:trustcard:schema:bench-checked:v1".getBytes(UTF_8);
  private static final byte[] CONTENT_TYPE = "application/json".getBytes(UTF_8);

  // Blackbird makes Jackson's access to fields as fast as it gets.
  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .addModule(new JavaTimeModule())
          .addModule(new BlackbirdModule())
          .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
          .build();
  private static final ObjectReader READER = MAPPER.readerFor(Post.class);
  private static final ObjectWriter WRITER = MAPPER.writerFor(Post.Checked.class);

  private final MessageDigest sha1 = sha1();
  private FixedKeyProcessorContext<byte[], byte[]> context;

  @Override
  public void init(FixedKeyProcessorContext<byte[], byte[]> context) {
    this.context = context;
  }

  @Override
  public void process(FixedKeyRecord<byte[], byte[]> record) {
    Header type = record.headers().lastHeader("ce_type");
    if (type == null || !Arrays.equals(type.value(), IN_TYPE)) {
      throw new IllegalArgumentException("an input of another type");
    }
    try {
      Post.Checked checked = Post.Checked.of(READER.readValue(record.value()));
      Headers headers = new RecordHeaders();
      headers.add("ce_specversion", SPEC_VERSION);
      headers.add("ce_id", id(checked.analysisId()).toString().getBytes(UTF_8));
      headers.add("ce_type", OUT_TYPE);
      headers.add("ce_source", SOURCE);
      headers.add("ce_time", checked.scrapedAt().toString().getBytes(UTF_8));
      headers.add("ce_subject", checked.postId().getBytes(UTF_8));
      headers.add("ce_dataschema", SCHEMA);
      headers.add("content-type", CONTENT_TYPE);
      Header trace = record.headers().lastHeader("traceparent");
      if (trace != null) {
        headers.add(trace);
      }
      context.forward(record.withValue(WRITER.writeValueAsBytes(checked)).withHeaders(headers));
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /** UUID version 5 (RFC 9562) of the output's type in the name space of its analysis. */
  private UUID id(UUID analysis) {
    ByteBuffer space = ByteBuffer.allocate(16);
    space.putLong(analysis.getMostSignificantBits()).putLong(analysis.getLeastSignificantBits());
    sha1.reset();
    sha1.update(space.array());
    ByteBuffer hash = ByteBuffer.wrap(sha1.digest(OUT_TYPE));
    long high = hash.getLong() & 0xffff_ffff_ffff_0fffL | 0x5000L;
    long low = hash.getLong() & 0x3fff_ffff_ffff_ffffL | 0x8000_0000_0000_0000L;
    return new UUID(high, low);
  }

  private static MessageDigest sha1() {
    try {
      return MessageDigest.getInstance("SHA-1");
    } catch (NoSuchAlgorithmException error) {
      throw new IllegalStateException(error);
    }
  }
}
