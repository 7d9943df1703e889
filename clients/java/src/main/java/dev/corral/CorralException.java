package dev.corral;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.*;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.*;

/** A call failed. The message is a sentence for people, the cause gRPC's own exception. */
public final class CorralException extends RuntimeException {
    public final io.grpc.Status.Code code;
    /** The name in ErrorReason without its prefix; empty if the server gave none. */
    public final String reason;
    /** Names and numbers behind the message. */
    public final transient Map<String, String> metadata;
    /** The model the failure is about; empty if it is about none. */
    public final String model;
    /** Every bad field, and a description of what is wrong with it. */
    public final transient List<BadRequest.FieldViolation> violations;
    /** When to come back; null if the server does not say. */
    public final Duration retryDelay;

    CorralException(StatusRuntimeException failure) {
        super(failure.getStatus().getCause() == null ? failure.getStatus().getDescription()
            : failure.getStatus().getCause().getMessage(), failure); // what failed on this side
        var status = StatusProto.fromThrowable(failure);
        var info = detail(status, ErrorInfo.getDefaultInstance());
        var isOurs = info.getDomain().equals("corral");
        var retry = detail(status, RetryInfo.getDefaultInstance());
        code = failure.getStatus().getCode();
        reason = isOurs ? info.getReason() : "";
        metadata = isOurs ? info.getMetadataMap() : Map.of();
        model = metadata.getOrDefault("model", "");
        violations = detail(status, BadRequest.getDefaultInstance()).getFieldViolationsList();
        var delay = retry.getRetryDelay();
        retryDelay = retry.hasRetryDelay()
            ? Duration.ofSeconds(delay.getSeconds(), delay.getNanos()) : null;
    }

    /** The detail of the kind of absent; absent itself if there is none. */
    private static <D extends com.google.protobuf.Message> D detail(Status status, D absent) {
        try {
            for (var packed : status.getDetailsList()) {
                if (packed.is(absent.getClass())) {
                    return packed.unpackSameTypeAs(absent);
                }
            }
            return absent;
        } catch (InvalidProtocolBufferException unreadable) {
            return absent;
        }
    }
}
