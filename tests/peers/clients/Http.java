// Java's own client: asks for each URL, offering HTTP/2 to a server that does not speak it.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

public class Http {
    public static void main(String[] urls) throws Exception {
        var client = HttpClient.newHttpClient();
        for (String url : urls) {
            client.send(HttpRequest.newBuilder(URI.create(url)).build(), BodyHandlers.discarding());
        }
    }
}
