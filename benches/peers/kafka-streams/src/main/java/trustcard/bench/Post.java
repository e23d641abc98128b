package trustcard.bench;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.List;
import java.util.UUID;

/** What is read; the same fields as the Rust legs' `Post`. */
record Post(
    @JsonProperty("analysis_id") UUID analysisId,
    @JsonProperty("post_id") String postId,
    Author author,
    String caption,
    List<String> hashtags,
    long likes,
    long comments,
    @JsonProperty("posted_at") Instant postedAt,
    @JsonProperty("scraped_at") Instant scrapedAt,
    List<Media> media) {

  record Author(String username, long followers, boolean verified) {}

  record Media(int index, String sha256, int width, int height) {}

  /** What is written. */
  record Checked(
      @JsonProperty("analysis_id") UUID analysisId,
      @JsonProperty("post_id") String postId,
      Author author,
      String caption,
      List<String> hashtags,
      double engagement,
      @JsonProperty("posted_at") Instant postedAt,
      @JsonProperty("scraped_at") Instant scrapedAt,
      List<Media> media) {

    static Checked of(Post post) {
      double reactions = post.likes + post.comments;
      return new Checked(
          post.analysisId,
          post.postId,
          post.author,
          post.caption,
          post.hashtags,
          reactions / Math.max(post.author.followers, 1),
          post.postedAt,
          post.scrapedAt,
          post.media);
    }
  }
}
