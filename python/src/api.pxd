# The C API of Raddle as far as the package uses it. The headers in include/raddle say what each
# function does, who owns what, and which thread may call it.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "<stdbool.h>" nogil:
    ctypedef bint c_bool "bool"


cdef extern from "raddle/raddle.h" nogil:
    enum: RDL_MAX_RANK
    enum: RDL_ERROR_MESSAGE_BYTES
    const int64_t RDL_FOREVER
    const int64_t RDL_NO_WAIT

    enum rdl_status:
        RDL_OK
        RDL_ERR_ARGUMENT
        RDL_ERR_SHAPE
        RDL_ERR_BUFFER_SIZE
        RDL_ERR_OVERFLOW
        RDL_ERR_NO_MEMORY
        RDL_ERR_CLOSED
        RDL_ERR_BUSY
        RDL_ERR_DEADLINE
        RDL_ERR_CANCELLED
        RDL_ERR_MODEL
        RDL_ERR_UNSUPPORTED
        RDL_ERR_IO
        RDL_ERR_NOT_FOUND
        RDL_ERR_DEVICE
        RDL_ERR_DEVICE_LOST
        RDL_ERR_FORKED
        RDL_ERR_THREAD
        RDL_ERR_SHUTDOWN
        RDL_ERR_STATE
        RDL_ERR_RUNTIME
        RDL_ERR_INTERNAL

    struct rdl_error:
        rdl_status status
        char message[1024]

    const char *rdl_status_name(rdl_status status)
    const char *rdl_status_text(rdl_status status)

    # config.h
    uint32_t rdl_version()
    rdl_status rdl_shutdown(int64_t deadline_ns, rdl_error *error)
    int64_t rdl_now_ns()
    int64_t rdl_deadline_in_ns(int64_t duration_ns)
    struct rdl_cancel:
        pass
    rdl_status rdl_cancel_new(rdl_cancel **out, rdl_error *error)
    void rdl_cancel_request(rdl_cancel *cancel)
    c_bool rdl_cancel_requested(const rdl_cancel *cancel)
    void rdl_cancel_release(rdl_cancel *cancel)
    rdl_status rdl_knob(const char *name, char *out, size_t size_bytes)
    const char *rdl_knob_name(size_t index)

    # device.h
    struct rdl_device:
        uint64_t id
    struct rdl_sim_options:
        uint64_t seed
        uint32_t workers
        uint32_t max_delay_us
        uint64_t fail_alloc
        uint64_t fail_submit
        uint64_t fail_wait
        uint64_t fail_stream
        uint64_t fail_thread
        uint64_t lose_at
        c_bool sticky
        size_t memory_bytes
    struct rdl_device_options:
        size_t size
        uint32_t lanes
        size_t memory_limit_bytes
        uint32_t plan_cache
        const rdl_sim_options *sim
    rdl_status rdl_device_open(const char *name, const rdl_device_options *options,
                               rdl_device *out, rdl_error *error)
    rdl_status rdl_device_close(rdl_device device, int64_t deadline_ns, rdl_error *error)
    struct rdl_device_info:
        size_t size
        char name[32]
        char isa[32]
        uint32_t lanes
        uint32_t lanes_leased
        uint32_t lane_waiters
        uint32_t memory_waiters
        uint32_t plan_cache
        uint64_t memory_limit_bytes
        c_bool host_memory
        c_bool asynchronous
        c_bool lost
    rdl_status rdl_device_get_info(rdl_device device, rdl_device_info *info)
    rdl_status rdl_device_synchronize(rdl_device device, int64_t deadline_ns, rdl_cancel *cancel,
                                      rdl_error *error)

    # stream.h
    struct rdl_stream:
        uint64_t id
    struct rdl_event:
        uint64_t id
    rdl_status rdl_stream_open(rdl_device device, int64_t deadline_ns, rdl_cancel *cancel,
                               rdl_stream *out, rdl_error *error)
    rdl_status rdl_stream_default(rdl_device device, rdl_stream *out, rdl_error *error)
    void rdl_stream_close(rdl_stream stream)
    rdl_status rdl_stream_lane(rdl_stream stream, uint32_t *out)
    rdl_status rdl_stream_query(rdl_stream stream, c_bool *out)
    rdl_status rdl_stream_synchronize(rdl_stream stream, int64_t deadline_ns, rdl_cancel *cancel,
                                      rdl_error *error)
    rdl_status rdl_event_open(rdl_device device, rdl_event *out, rdl_error *error)
    void rdl_event_close(rdl_event event)
    rdl_status rdl_event_record(rdl_event event, rdl_stream stream, rdl_error *error)
    rdl_status rdl_stream_wait_event(rdl_stream stream, rdl_event event, rdl_error *error)
    rdl_status rdl_event_query(rdl_event event, c_bool *out)
    rdl_status rdl_event_synchronize(rdl_event event, int64_t deadline_ns, rdl_cancel *cancel,
                                     rdl_error *error)
    rdl_status rdl_event_elapsed(rdl_event start, rdl_event end, int64_t *out_ns, rdl_error *error)

    # memory.h
    enum: RDL_MEMORY_STAT_COUNT
    enum rdl_memory_stat:
        RDL_MEMORY_STAT_ALLOCATED_BYTES_CURRENT
    const char *rdl_memory_stat_key(rdl_memory_stat stat)
    rdl_status rdl_memory_stats(rdl_device device, int64_t *out)
    rdl_status rdl_memory_trim(rdl_device device, size_t *freed_bytes)
    rdl_status rdl_memory_set_limit(rdl_device device, size_t limit_bytes)

    # tensor.h
    enum rdl_dtype:
        RDL_DTYPE_NONE
        RDL_F32
        RDL_U8
        RDL_I8
        RDL_U16
        RDL_I16
        RDL_I32
        RDL_I64
        RDL_STRING
        RDL_BOOL
        RDL_F16
        RDL_F64
        RDL_U32
        RDL_U64
        RDL_BF16
    const char *rdl_dtype_name(rdl_dtype dtype)
    size_t rdl_dtype_size(rdl_dtype dtype)
    struct rdl_tensor:
        pass
    struct rdl_value:
        pass
    ctypedef void (*rdl_free_fn)(void *data, void *user)
    rdl_status rdl_tensor_new(rdl_dtype dtype, int32_t rank, const int64_t *dims, rdl_tensor **out,
                              rdl_error *error)
    rdl_status rdl_tensor_wrap(rdl_dtype dtype, int32_t rank, const int64_t *dims,
                               const int64_t *strides, void *data, size_t size_bytes,
                               rdl_free_fn free_fn, void *user, rdl_tensor **out, rdl_error *error)
    rdl_status rdl_tensor_copy(const rdl_tensor *src, rdl_tensor *dst, rdl_error *error)
    rdl_tensor *rdl_tensor_retain(rdl_tensor *tensor)
    void rdl_tensor_release(rdl_tensor *tensor)
    rdl_dtype rdl_tensor_dtype(const rdl_tensor *tensor)
    int32_t rdl_tensor_rank(const rdl_tensor *tensor)
    const int64_t *rdl_tensor_dims(const rdl_tensor *tensor)
    const int64_t *rdl_tensor_strides(const rdl_tensor *tensor)
    size_t rdl_tensor_count(const rdl_tensor *tensor)
    void *rdl_tensor_data(const rdl_tensor *tensor)
    enum rdl_value_kind:
        RDL_VALUE_TENSOR
        RDL_VALUE_SEQUENCE
        RDL_VALUE_OPTIONAL
    rdl_status rdl_value_from_tensor(rdl_tensor *tensor, rdl_value **out, rdl_error *error)
    rdl_status rdl_value_sequence(rdl_value *const *items, size_t count, rdl_value **out,
                                  rdl_error *error)
    rdl_status rdl_value_optional(rdl_value *item, rdl_value **out, rdl_error *error)
    void rdl_value_release(rdl_value *value)
    rdl_value_kind rdl_value_get_kind(const rdl_value *value)
    rdl_tensor *rdl_value_tensor(const rdl_value *value)
    size_t rdl_value_count(const rdl_value *value)
    rdl_value *rdl_value_item(const rdl_value *value, size_t index)

    # model.h
    struct rdl_model:
        uint64_t id
    struct rdl_request:
        uint64_t id
    struct rdl_load_options:
        size_t size
        rdl_device device
        const char *folder
        size_t memory_limit_bytes
        int64_t deadline_ns
        rdl_cancel *cancel
        c_bool no_fusion
    rdl_status rdl_model_load(const char *path, const rdl_load_options *options, rdl_model *out,
                              rdl_error *error)
    rdl_status rdl_model_load_memory(const void *data, size_t size_bytes,
                                     const rdl_load_options *options, rdl_model *out,
                                     rdl_error *error)
    void rdl_model_close(rdl_model model)
    struct rdl_port:
        const char *name
        rdl_value_kind kind
        rdl_dtype dtype
        int32_t rank
        int64_t dims[8]
        const char *dim_names[8]
    struct rdl_model_info:
        pass
    rdl_status rdl_model_get_info(rdl_model model, rdl_model_info **out, rdl_error *error)
    void rdl_model_info_release(rdl_model_info *info)
    size_t rdl_model_info_input_count(const rdl_model_info *info)
    size_t rdl_model_info_output_count(const rdl_model_info *info)
    const rdl_port *rdl_model_info_input(const rdl_model_info *info, size_t index)
    const rdl_port *rdl_model_info_output(const rdl_model_info *info, size_t index)
    size_t rdl_model_info_metadata_count(const rdl_model_info *info)
    c_bool rdl_model_info_metadata(const rdl_model_info *info, size_t index, const char **key,
                                 const char **value)
    size_t rdl_model_info_node_count(const rdl_model_info *info)
    size_t rdl_model_info_compiled_node_count(const rdl_model_info *info)
    size_t rdl_model_info_weight_bytes(const rdl_model_info *info)
    struct rdl_run_options:
        size_t size
        int64_t deadline_ns
        rdl_cancel *cancel
        c_bool no_wait
        rdl_stream stream
        const uint32_t *output_indices
    rdl_status rdl_model_run(rdl_model model, rdl_value *const *inputs, size_t n_inputs,
                             rdl_value **outputs, size_t n_outputs, const rdl_run_options *options,
                             rdl_error *error)
    struct rdl_shape:
        int32_t rank
        int64_t dims[8]
    rdl_status rdl_model_warm_up(rdl_model model, const rdl_shape *shapes, size_t n_inputs,
                                 uint32_t lanes, rdl_error *error)
    struct rdl_model_stats:
        size_t size
        uint64_t plans
        uint64_t plans_compiled
        uint64_t plans_evicted
        uint64_t largest_arena_bytes
    rdl_status rdl_model_get_stats(rdl_model model, rdl_model_stats *stats)
    ctypedef void (*rdl_run_callback)(rdl_request request, rdl_status status, void *user) noexcept
    rdl_status rdl_model_submit(rdl_model model, rdl_value *const *inputs, size_t n_inputs,
                                rdl_value *const *outputs, size_t n_outputs,
                                const rdl_run_options *options, rdl_run_callback callback,
                                void *user, rdl_request *out, rdl_error *error)
    rdl_status rdl_request_wait(rdl_request request, int64_t deadline_ns, rdl_value **outputs,
                                size_t n_outputs, rdl_error *error)
    rdl_status rdl_request_done(rdl_request request, c_bool *out)
    void rdl_request_cancel(rdl_request request)
    void rdl_request_close(rdl_request request)


cdef extern from "raddle/dlpack.h" nogil:
    struct rdl_dlpack:
        void (*deleter)(rdl_dlpack *self) noexcept
        uint64_t flags
    enum: RDL_DLPACK_READ_ONLY
    rdl_status rdl_tensor_from_dlpack(rdl_dlpack *dlpack, rdl_tensor **out, rdl_error *error)
    rdl_status rdl_tensor_to_dlpack(rdl_tensor *tensor, rdl_dlpack **out, rdl_error *error)


cdef extern from "completion.h" nogil:
    struct completion:
        pass
    struct completion_queue:
        pass
    completion_queue *completion_queue_new()
    int completion_queue_fd(const completion_queue *queue)
    c_bool completion_queue_take(completion_queue *queue, uint64_t *token)
    void completion_queue_release(completion_queue *queue)
    completion *completion_new()
    void completion_release(completion *self)
    void completion_ended(rdl_request request, rdl_status status, void *user) noexcept
    c_bool completion_watch(completion *self, completion_queue *queue, uint64_t token)
