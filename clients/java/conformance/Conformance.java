// The scripted cases that every client performs: ../../conformance/CASES.md.

import java.io.FileWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.Callable;

class Conformance {
    public static void main(String[] arguments) throws IOException {
        var path = System.getenv("CORRAL_REPORT");
        try (var report = path == null ? new OutputStreamWriter(System.out, StandardCharsets.UTF_8)
                : new FileWriter(path, StandardCharsets.UTF_8)) {
            if (arguments.length == 1 && arguments[0].equals("overhead")) {
                write(report, Overhead.measure());
                return;
            }
            perform(report, Answers.CASES);
            perform(report, Failures.CASES);
            perform(report, Meetings.CASES);
        }
    }

    private static void perform(Writer report, Map<String, Callable<String>> cases)
            throws IOException {
        for (var each : cases.entrySet()) {
            write(report, perform(each.getKey(), each.getValue()));
        }
    }

    /** The line of one case. What goes wrong in it is kept from the others. */
    private static String perform(String name, Callable<String> each) {
        try {
            return line(name, true, each.call());
        } catch (Exception | AssertionError failure) {
            return line(name, false, failure.toString());
        }
    }

    private static String line(String name, boolean ok, String detail) {
        return "{\"case\": %s, \"ok\": %s, \"detail\": %s}"
            .formatted(quote(name), ok, quote(detail));
    }

    /** Text as JSON. */
    private static String quote(String text) {
        var quoted = new StringBuilder("\"");
        for (var letter : text.toCharArray()) {
            if (letter == '"' || letter == '\\') {
                quoted.append('\\').append(letter);
            } else if (letter < ' ') {
                quoted.append("\\u%04x".formatted((int) letter));
            } else {
                quoted.append(letter);
            }
        }
        return quoted.append('"').toString();
    }

    private static void write(Writer report, String line) throws IOException {
        report.write(line + "\n");
        report.flush();
    }
}
