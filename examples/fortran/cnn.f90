!> libcnn from Fortran: a network that is loaded from a file, and that predicts.
!>
!> libcnn stores matrices by rows, Fortran by columns. So the array that libcnn calls x (rows, inputs) is
!> x(inputs, rows) in Fortran: each column holds the inputs of one row. Nothing is copied.
!>
!> Each procedure has the optional arguments `stat` and `errmsg`, as `allocate` has them. Without `stat`,
!> an error ends the program with the message.
module cnn
    use, intrinsic :: iso_c_binding, only: c_associated, c_char, c_double, c_f_pointer, c_float, &
        c_int, c_null_char, c_null_ptr, c_ptr, c_size_t
    implicit none
    private
    public :: cnn_network

    !> A network. A copy by assignment is the same network: destroy only one of the two.
    !> Any number of threads may call `predict` of one network at once.
    type :: cnn_network
        private
        type(c_ptr) :: handle = c_null_ptr
    contains
        procedure :: load
        procedure :: destroy
        procedure :: inputs
        procedure :: outputs
        !> y = network(x), for one row or for each column of x, in the network's type.
        generic :: predict => predict_row_f32, predict_rows_f32, predict_row_f64, predict_rows_f64
        procedure, private :: predict_row_f32, predict_rows_f32, predict_row_f64, predict_rows_f64
    end type

    ! cnn.h has the comments of these.
    interface
        integer(c_int) function cnn_network_load(path, network) bind(c)
            import :: c_char, c_int, c_ptr
            character(kind=c_char), intent(in) :: path(*)
            type(c_ptr), intent(out) :: network
        end function

        subroutine cnn_network_destroy(network) bind(c)
            import :: c_ptr
            type(c_ptr), value :: network
        end subroutine

        integer(c_size_t) function cnn_network_inputs(network) bind(c)
            import :: c_ptr, c_size_t
            type(c_ptr), value :: network
        end function

        integer(c_size_t) function cnn_network_outputs(network) bind(c)
            import :: c_ptr, c_size_t
            type(c_ptr), value :: network
        end function

        integer(c_int) function cnn_network_predict_f32(network, rows, x, x_stride, y, y_stride, &
                                                        workspace, workspace_size) bind(c)
            import :: c_float, c_int, c_ptr, c_size_t
            type(c_ptr), value :: network, workspace
            integer(c_size_t), value :: rows, x_stride, y_stride, workspace_size
            real(c_float), intent(in) :: x(*)
            real(c_float), intent(inout) :: y(*)
        end function

        integer(c_int) function cnn_network_predict_f64(network, rows, x, x_stride, y, y_stride, &
                                                        workspace, workspace_size) bind(c)
            import :: c_double, c_int, c_ptr, c_size_t
            type(c_ptr), value :: network, workspace
            integer(c_size_t), value :: rows, x_stride, y_stride, workspace_size
            real(c_double), intent(in) :: x(*)
            real(c_double), intent(inout) :: y(*)
        end function

        type(c_ptr) function cnn_last_error() bind(c)
            import :: c_ptr
        end function

        integer(c_size_t) function strlen(text) bind(c)
            import :: c_ptr, c_size_t
            type(c_ptr), value :: text
        end function
    end interface

contains

    !> Load a model file of libcnn or of Python's `net.save`.
    subroutine load(self, path, stat, errmsg)
        class(cnn_network), intent(inout) :: self
        character(*), intent(in) :: path
        integer, intent(out), optional :: stat
        character(*), intent(inout), optional :: errmsg
        type(c_ptr) :: made
        integer(c_int) :: status

        status = cnn_network_load(path // c_null_char, made)
        if (status == 0) then
            call self%destroy()
            self%handle = made
        end if
        call answer(status, stat, errmsg)
    end subroutine

    !> Free the network. No other thread may use it.
    subroutine destroy(self)
        class(cnn_network), intent(inout) :: self

        call cnn_network_destroy(self%handle)
        self%handle = c_null_ptr
    end subroutine

    !> The numbers of a row of x; 0 without a network.
    integer function inputs(self)
        class(cnn_network), intent(in) :: self

        inputs = int(cnn_network_inputs(self%handle))
    end function

    !> The numbers of a row of y; 0 without a network.
    integer function outputs(self)
        class(cnn_network), intent(in) :: self

        outputs = int(cnn_network_outputs(self%handle))
    end function

    subroutine predict_row_f32(self, x, y, stat, errmsg)
        class(cnn_network), intent(in) :: self
        real(c_float), intent(in), contiguous :: x(:)
        real(c_float), intent(inout), contiguous :: y(:)
        integer, intent(out), optional :: stat
        character(*), intent(inout), optional :: errmsg

        if (fits(self, [size(x), 1], [size(y), 1], stat, errmsg)) &
            call answer(cnn_network_predict_f32(self%handle, 1_c_size_t, x, size(x, kind=c_size_t), y, &
                                                size(y, kind=c_size_t), c_null_ptr, 0_c_size_t), &
                        stat, errmsg)
    end subroutine

    subroutine predict_rows_f32(self, x, y, stat, errmsg)
        class(cnn_network), intent(in) :: self
        real(c_float), intent(in), contiguous :: x(:, :)
        real(c_float), intent(inout), contiguous :: y(:, :)
        integer, intent(out), optional :: stat
        character(*), intent(inout), optional :: errmsg

        if (fits(self, shape(x), shape(y), stat, errmsg)) &
            call answer(cnn_network_predict_f32(self%handle, size(x, 2, c_size_t), x, &
                                                size(x, 1, c_size_t), y, size(y, 1, c_size_t), &
                                                c_null_ptr, 0_c_size_t), stat, errmsg)
    end subroutine

    subroutine predict_row_f64(self, x, y, stat, errmsg)
        class(cnn_network), intent(in) :: self
        real(c_double), intent(in), contiguous :: x(:)
        real(c_double), intent(inout), contiguous :: y(:)
        integer, intent(out), optional :: stat
        character(*), intent(inout), optional :: errmsg

        if (fits(self, [size(x), 1], [size(y), 1], stat, errmsg)) &
            call answer(cnn_network_predict_f64(self%handle, 1_c_size_t, x, size(x, kind=c_size_t), y, &
                                                size(y, kind=c_size_t), c_null_ptr, 0_c_size_t), &
                        stat, errmsg)
    end subroutine

    subroutine predict_rows_f64(self, x, y, stat, errmsg)
        class(cnn_network), intent(in) :: self
        real(c_double), intent(in), contiguous :: x(:, :)
        real(c_double), intent(inout), contiguous :: y(:, :)
        integer, intent(out), optional :: stat
        character(*), intent(inout), optional :: errmsg

        if (fits(self, shape(x), shape(y), stat, errmsg)) &
            call answer(cnn_network_predict_f64(self%handle, size(x, 2, c_size_t), x, &
                                                size(x, 1, c_size_t), y, size(y, 1, c_size_t), &
                                                c_null_ptr, 0_c_size_t), stat, errmsg)
    end subroutine

    !> Whether there is a network that arrays of these shapes suit: libcnn gets no shapes.
    logical function fits(self, x, y, stat, errmsg)
        class(cnn_network), intent(in) :: self
        integer, intent(in) :: x(2), y(2)
        integer, intent(out), optional :: stat
        character(*), intent(inout), optional :: errmsg
        character(200) :: text

        fits = .false.
        if (.not. c_associated(self%handle)) then
            call tell(1, "predict: no network was loaded", stat, errmsg)
        else if (x(1) /= self%inputs() .or. y(1) /= self%outputs() .or. x(2) /= y(2)) then
            write (text, '("predict: x is (",i0,", ",i0,") and y is (",i0,", ",i0,"), should be (",' // &
                         'i0,", n) and (",i0,", n)")') x, y, self%inputs(), self%outputs()
            call tell(1, trim(text), stat, errmsg)
        else
            fits = .true.
        end if
    end function

    !> What a call of libcnn returned.
    subroutine answer(status, stat, errmsg)
        integer(c_int), intent(in) :: status
        integer, intent(out), optional :: stat
        character(*), intent(inout), optional :: errmsg
        character(kind=c_char), pointer :: letters(:)
        type(c_ptr) :: text

        if (status == 0) then
            if (present(stat)) stat = 0
        else
            text = cnn_last_error()
            call c_f_pointer(text, letters, [strlen(text)])
            call tell(int(status), transfer(letters, repeat(" ", size(letters))), stat, errmsg)
        end if
    end subroutine

    !> Hand an error to the caller, or end the program.
    subroutine tell(status, message, stat, errmsg)
        integer, intent(in) :: status
        character(*), intent(in) :: message
        integer, intent(out), optional :: stat
        character(*), intent(inout), optional :: errmsg

        if (present(errmsg)) errmsg = message
        if (.not. present(stat)) error stop message
        stat = status
    end subroutine
end module
