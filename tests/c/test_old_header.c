/*
 * A program that was compiled with an older cnn.h works with this libcnn, to the same bits.
 *
 * old/cnn.h is the header of ABI version 1 as it first was, with the smallest form of each struct:
 * cnn_loss ends before `quantiles`, cnn_result before `accumulate`. It stays as it is.
 */
#include <string.h>

#include "check.h"
#include "old/program.h"

static outcome of_old, of_new;

int main(void)
{
    CHECK(old_program("test_old_header.old.safetensors", &of_old) == 0);
    CHECK(new_program("test_old_header.new.safetensors", &of_new) == 0);
    CHECK(of_new.steps == 4 && of_new.rows == 20 && of_new.l2 == 1e-3 && of_new.rate == 0.25);
    CHECK(of_new.beta2 == 0.999 && of_new.loss_value > 0);
    CHECK(of_new.loss_sums[9] < of_new.loss_sums[0]);
    CHECK(of_new.file_size > 1000 && of_new.file_size < sizeof of_new.file);
    CHECK(memcmp(&of_old, &of_new, sizeof of_old) == 0);
    return check_finish();
}
